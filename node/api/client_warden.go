package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Scores asks for the scores of the connected peers.
func (c *Client) Scores(ctx context.Context) ([]Score, error) {
	var list Scores
	err := c.get(ctx, "/v1/scores", &list)
	return list.Scores, err
}

// Score asks for the score of a peer, connected or not.
func (c *Client) Score(ctx context.Context, peer string) (Score, error) {
	var s Score
	err := c.get(ctx, "/v1/scores/"+url.PathEscape(peer), &s)
	return s, err
}

// Bans asks for the bans in force.
func (c *Client) Bans(ctx context.Context) ([]Ban, error) {
	var list Bans
	err := c.get(ctx, "/v1/bans", &list)
	return list.Bans, err
}

// Ban bans a peer, an address or a prefix. It needs the admin scope.
func (c *Client) Ban(ctx context.Context, b BanRequest) (Ban, error) {
	query := url.Values{"subject": {b.Subject}, "for_s": {strconv.FormatInt(int64(b.For/time.Second), 10)}}
	if b.Reason != "" {
		query.Set("reason", b.Reason)
	}
	var out Ban
	err := c.call(ctx, http.MethodPost, "/v1/bans?"+query.Encode(), "", nil, &out)
	return out, err
}

// Unban lifts a ban. It needs the admin scope.
func (c *Client) Unban(ctx context.Context, subject string) (Ban, error) {
	var out Ban
	err := c.call(ctx, http.MethodPost, "/v1/bans/lift?"+url.Values{"subject": {subject}}.Encode(), "", nil, &out)
	return out, err
}
