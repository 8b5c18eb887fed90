package overlay

import "google.golang.org/protobuf/encoding/protowire"

// elements are what an RPC holds beside the messages of its topic, as it is held against
// the budgets of its sender.
type elements struct {
	units         int // subscriptions, control entries, messages of other topics, and fields that we do not know
	ids           int // message ids and offered peers in control entries
	subscriptions int
	grafts        int // GRAFT and PRUNE
}

// countControl adds the entries of an encoded control message, and notes the ids by which it
// names messages.
func (e *elements) countControl(control []byte, named *names) {
	_ = fields(control, func(num protowire.Number, typ protowire.Type, entry []byte) error {
		e.units++
		if typ != protowire.BytesType {
			return nil
		}
		if num == controlGraft || num == controlPrune {
			e.grafts++
		}
		if inner := idField(num); inner != 0 {
			_ = fields(entry, func(n protowire.Number, _ protowire.Type, id []byte) error {
				if n == inner {
					e.ids++
					if num == controlIHave || num == controlIDontWant {
						named.note(id)
					}
				}
				return nil
			})
		}
		return nil
	})
}

// idField is the field of a control entry that is repeated; 0 if it has none.
func idField(control protowire.Number) protowire.Number {
	switch control {
	case controlIHave, controlPrune:
		return 2
	case controlIWant, controlIDontWant:
		return 1
	}
	return 0
}

// truncate leaves in the rest of an RPC, which prescan has passed, as many elements of each
// sort as keep says, the first ones.
func truncate(rest []byte, keep elements) []byte {
	return filterFields(rest, func(num protowire.Number, value []byte) ([]byte, bool) {
		switch num {
		case rpcSubscriptions:
			keep.subscriptions--
			return value, keep.subscriptions >= 0
		case rpcControl:
			return truncateControl(value, &keep), true
		}
		return value, true
	})
}

func truncateControl(control []byte, keep *elements) []byte {
	return filterFields(control, func(num protowire.Number, entry []byte) ([]byte, bool) {
		if num == controlGraft || num == controlPrune {
			if keep.grafts--; keep.grafts < 0 {
				return nil, false
			}
		}
		inner := idField(num)
		return filterFields(entry, func(n protowire.Number, value []byte) ([]byte, bool) {
			if n != inner {
				return value, true
			}
			keep.ids--
			return value, keep.ids >= 0
		}), true
	})
}

// filterFields writes an encoded message anew with the length-delimited fields that change
// keeps, as it gives them back. Other fields stay.
func filterFields(b []byte, change func(num protowire.Number, value []byte) (changed []byte, keep bool)) (out []byte) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return out
		}
		if typ != protowire.BytesType {
			out = append(out, b[:n]...)
			b = b[n:]
			continue
		}
		_, _, tag := protowire.ConsumeTag(b)
		value, _ := protowire.ConsumeBytes(b[tag:n])
		if value, keep := change(num, value); keep {
			out = protowire.AppendTag(out, num, protowire.BytesType)
			out = protowire.AppendBytes(out, value)
		}
		b = b[n:]
	}
	return out
}
