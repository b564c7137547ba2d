// Package tools is empty: this module only pins the programs that make lint builds.
package tools
