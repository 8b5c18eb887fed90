package node

import (
	"context"
	"log/slog"
)

// errorTexts hands errors on as their texts. go-log encodes what it does not
// know as JSON, and to JSON most errors are empty objects.
type errorTexts struct{ next slog.Handler }

func (h errorTexts) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h errorTexts) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(errorText(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (h errorTexts) WithAttrs(attrs []slog.Attr) slog.Handler {
	texts := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		texts[i] = errorText(a)
	}
	return errorTexts{h.next.WithAttrs(texts)}
}

func (h errorTexts) WithGroup(name string) slog.Handler { return errorTexts{h.next.WithGroup(name)} }

func errorText(a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if err, ok := a.Value.Any().(error); ok {
			return slog.String(a.Key, err.Error())
		}
	}
	return a
}
