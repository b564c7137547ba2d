// Command client measures clients of the protocol against each other: this project's SDK and the one of package baseline,
// which is what clients commonly do. Both write to the same sink, a server that costs next to nothing (package sink).
//
//	go run ./bench/client -quick            # the ratios that matter, as one line of JSON, in under a minute
//	go run ./bench/client -out bench/results # everything, with tables and plots
//	go run ./bench/client -group latency     # one group of cases
//
// # How it measures
//
// The sink is a process, and every measurement is a process of its own, so processor time and peak memory are the
// client's alone. A case is measured several times, and the clients take turns within each repetition: what slows the
// machine down slows both down. A figure is the median of the repetitions; a ratio is the median of the repetitions'
// ratios, of two runs that were neighbours.
//
// A run warms up, drains, and then sends for a time. The clock stops when all of it is acknowledged. The records are
// distinct and their memory stays in the processor's caches, as that of records fresh from an encoder does.
package main
