package sim

import (
	"hash/maphash"
	"math/bits"
)

// digest is what a state of the search comes to, mixed from its parts: 64 bits,
// so that of 100 million states two are taken for one with a chance of 1 in
// 3,000.
type digest uint64

// textSeed makes the digests of this process.
var textSeed = maphash.MakeSeed()

// number mixes one part in. The constants are odd, with bits all over, so that
// near numbers end far from each other.
func (d digest) number(n int) digest {
	x := (uint64(d) ^ uint64(n)) * 0x9e3779b97f4a7c15
	return digest((x ^ bits.RotateLeft64(x, 29)) * 0xbf58476d1ce4e5b9)
}

func (d digest) text(s string) digest { return d.number(int(maphash.String(textSeed, s))) }

func (d digest) truth(yes bool) digest {
	if yes {
		return d.number(1)
	}
	return d.number(0)
}

// maybe mixes a count in that may be missing.
func (d digest) maybe(count *int32) digest {
	if count == nil {
		return d.number(-1)
	}
	return d.number(int(*count))
}

// inAnyOrder mixes parts in whose order does not matter.
func inAnyOrder[P any](d digest, parts []P, of func(digest, P) digest) digest {
	sum := uint64(0)
	for _, part := range parts {
		x := uint64(of(0, part))
		sum += x ^ x>>31
	}
	return d.number(int(sum))
}
