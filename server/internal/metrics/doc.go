// Package metrics shows what the stages have counted, in the form that Prometheus reads. It takes a snapshot of each stage when it is
// asked, and never counts by itself: without a scrape it costs nothing, and no stage knows of it.
//
// Concurrency: everything may be called at any time. Failure: none; a scrape is answered with what there is.
package metrics
