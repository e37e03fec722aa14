package amqp

import (
	"context"
	"iter"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/replay"
)

// watch hands each new token to keep.
func (c *core) watch() {
	for token, err := range tokensOf(c.life, c.src) {
		if err != nil || token == nil {
			continue // the source tries again, and its hooks have told
		}
		select {
		case <-c.token: // the newest is enough
		default:
		}
		select {
		case c.token <- token:
		case <-c.life.Done(): // keep has ended, and [core.again] was quicker
		}
	}
}

// again has a token tried once more, if there is no newer one by then.
func (c *core) again(token *outgrant.Token) {
	if replay.Wait(c.life, c.backoff(3)) != nil {
		return
	}
	select {
	case c.token <- token:
	default:
	}
}

// tokensOf yields each new token of a source, ahead of the end of the last one.
func tokensOf(ctx context.Context, src outgrant.TokenSource) iter.Seq2[*outgrant.Token, error] {
	if w, ok := src.(outgrant.Watcher); ok {
		return w.Watch(ctx)
	}
	return polled(ctx, src)
}

// polled asks a source that cannot be watched again ahead of each token's end.
func polled(ctx context.Context, src outgrant.TokenSource) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		var last *outgrant.Token
		for {
			token, err := src.Token(ctx)
			if ctx.Err() != nil {
				return
			}
			if err == nil && (last == nil || token.AccessToken != last.AccessToken) {
				last = token
				if !yield(token, nil) {
					return
				}
			}
			pause := time.Minute
			if last != nil && !last.Expiry.IsZero() {
				left := time.Until(last.Expiry)
				pause = min(max(left-min(left/5, time.Minute), time.Second), time.Minute)
			}
			if replay.Wait(ctx, pause) != nil {
				return
			}
		}
	}
}
