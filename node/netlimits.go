package node

import (
	"net/netip"
	"time"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

const (
	// perIP4, perIP6 and perSite are the connections that one IPv4 address, one IPv6 /56 and
	// one IPv6 /48 may have: libp2p's own limits.
	perIP4  = 8
	perIP6  = 8
	perSite = 64
	// perBlock is the same of an IPv4 /24, which one customer can rent for little. libp2p
	// knows none: 250 addresses would have 2,000 connections, and open 50 a second.
	perBlock = 64
)

// fromOneNetwork are the limits of a public node on connections of one network, and on how
// fast they come. A network may open twice as many at once as it may have, and then its
// share in forty seconds; an IPv4 address, one in five seconds, as libp2p would have it.
// Loopback has none.
func fromOneNetwork() []rcmgr.Option {
	again := func(conns int) rate.Limit { return rate.Limit{RPS: float64(conns) / 40, Burst: 2 * conns} }
	loopback := func(prefix string) rate.PrefixLimit { return rate.PrefixLimit{Prefix: netip.MustParsePrefix(prefix)} }
	return []rcmgr.Option{
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perIP4}, {PrefixLength: 24, ConnCount: perBlock}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perIP6}, {PrefixLength: 48, ConnCount: perSite}},
		),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{loopback("127.0.0.0/8"), loopback("::1/128")},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: again(perIP4)}, {PrefixLength: 24, Limit: again(perBlock)}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: again(perIP6)}, {PrefixLength: 48, Limit: again(perSite)}},
				GracePeriod:      time.Minute,
			},
		}),
	}
}
