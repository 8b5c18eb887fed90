package overlay

import "context"

// WaitingTick is the tick of waiting headers.
const WaitingTick = waitingTick

// PublishRaw publishes bytes on the block topic unchecked, as a hostile node would.
func PublishRaw(ctx context.Context, o *Overlay, raw []byte) { o.blocks.Load().publish(ctx, raw) }
