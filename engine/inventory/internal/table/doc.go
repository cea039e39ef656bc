// Package table has the tables of the inventory: slabs of rows, indexes from keys to rows, and cells of strings.
// They are lock-free, grow while they are used, and have little for the garbage collector to scan. It also has the
// words that callers share.
package table
