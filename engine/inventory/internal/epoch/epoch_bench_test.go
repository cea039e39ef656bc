package epoch

import "testing"

func BenchmarkCall(b *testing.B) {
	var e Epoch
	for i := range b.N {
		c := e.Begin(uint32(i))
		c.End()
	}
}
func BenchmarkCallSame(b *testing.B) {
	var e Epoch
	for range b.N {
		c := e.Begin(7)
		c.End()
	}
}
