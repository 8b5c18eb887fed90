package overlay

import "google.golang.org/protobuf/encoding/protowire"

// scanLimits bound what one RPC may hold. pubsub decodes a whole RPC before anything of
// ours sees it, and an element of two bytes on the wire becomes an object of more than a
// hundred in memory: so the elements are counted first.
type scanLimits struct {
	Subscriptions int // subscription changes
	Messages      int // published messages
	Controls      int // control messages and their entries: IHAVE, IWANT, GRAFT, PRUNE, IDONTWANT, each for itself
	IDs           int // message ids and offered peers over all control entries
	Unknown       int // fields that we do not know
	Name          int // bytes of the name of a topic; a few are let through
}

const (
	// bombElements is how many empty elements a frame has that no fault of a client explains,
	// and bombNames how many names of topics over limit.
	bombElements, bombNames = 1_000, 8
	// subscriptionFrame is what an encoded subscription holds beside the name of its topic.
	subscriptionFrame = 16
)

// tally is what one RPC holds so far.
type tally struct {
	subscriptions, messages, controls, ids, unknown, empty, long int
}

// Field numbers of pubsub's RPC that are scanned into.
const (
	rpcSubscriptions = 1
	rpcPublish       = 2
	rpcControl       = 3

	controlIHave     = 1
	controlIWant     = 2
	controlGraft     = 3
	controlPrune     = 4
	controlIDontWant = 5
)

// prescan counts the elements of an encoded RPC without decoding it, and refuses one
// that holds more than l allows, that is not protobuf, or that uses groups (which no
// sender of RPCs does, and which nest). It allocates nothing.
func prescan(rpc []byte, l scanLimits) error {
	var t tally
	err := fields(rpc, func(num protowire.Number, typ protowire.Type, value []byte) error {
		switch {
		case typ != protowire.BytesType || num > rpcControl:
			t.unknown++
		case num == rpcControl:
			// Singular, but repeated occurrences merge when decoded: all are counted.
			t.controls++
			if err := scanControl(value, &t); err != nil {
				return err
			}
		case len(value) == 0:
			if t.empty++; t.empty > bombElements {
				return FrameBomb
			}
		case num == rpcSubscriptions:
			t.subscriptions++
			if len(value) > l.Name+subscriptionFrame {
				if t.long++; t.long > bombNames {
					return FrameBomb
				}
			}
		case num == rpcPublish:
			t.messages++
		}
		return t.within(l)
	})
	if err == nil && t.empty > 0 {
		return FrameEmptyElement
	}
	return err
}

// scanControl counts what one control message holds. An empty entry is let through (a
// sender that splits a large RPC may leave one) and counted.
func scanControl(control []byte, t *tally) error {
	return fields(control, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if typ != protowire.BytesType || num > controlIDontWant {
			t.unknown++
			return nil
		}
		t.controls++
		return fields(value, func(inner protowire.Number, _ protowire.Type, _ []byte) error {
			switch {
			case inner == 1 && (num == controlIWant || num == controlIDontWant),
				inner == 2 && (num == controlIHave || num == controlPrune):
				t.ids++
			case inner > 3: // no field of a control entry is above
				t.unknown++
			}
			return nil
		})
	})
}

func (t tally) within(l scanLimits) error {
	if t.subscriptions > l.Subscriptions || t.messages > l.Messages || t.controls > l.Controls ||
		t.ids > l.IDs || t.unknown > l.Unknown {
		return FrameTooMany
	}
	return nil
}

// fields calls each for every field of an encoded message; value is set for
// length-delimited fields.
func fields(b []byte, each func(num protowire.Number, typ protowire.Type, value []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return FrameGarbage
		}
		b = b[n:]
		var value []byte
		if typ == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return FrameGarbage
		}
		if err := each(num, typ, value); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
