package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrAddress says that the address of a Redis is not one that this package understands.
var ErrAddress = errors.New("not an address of a Redis")

// clientTimeout bounds every read and write of the client where no shorter deadline is set; each call sets one.
const clientTimeout = time.Minute

// idleConns is how many connections are kept: one that appends, one that writes checkpoints, one that looks.
const idleConns = 3

// poolSize is more than will ever be open. It is also how many failed dials in a row make the client try only once a second
// from then on, when the pauses between attempts here have long become longer than a restart of Redis takes.
const poolSize = 512

// ParseAddress understands
//
//	redis://[user:password@]host[:port][/db]                         one Redis
//	unix://[user:password@]/path/of/the.sock[?db=N]                  one Redis on this machine
//	redis+sentinel://[user:password@]host:port,host:port/master[?db=N&sentinel_user=U&sentinel_password=P]
//	redis+cluster://[user:password@]host:port,host:port              all keys share one slot, so one of its shards is used
//
// and rediss in the place of redis for TLS, with the server's certificate checked against its host name. Ports default to
// 6379, of sentinels to 26379. An error is an ErrAddress and never repeats the password. The options have what the journal
// depends on: no retries by the client and deadlines of contexts that count.
func ParseAddress(address string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return nil, fmt.Errorf("%w: it begins with redis://, rediss:// or unix://", ErrAddress)
	}
	rest, query, _ := strings.Cut(rest, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: what follows its question mark cannot be read", ErrAddress)
	}
	o := clientOptions()
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := credentials(o, rest[:at]); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	if scheme == "unix" {
		if !strings.HasPrefix(rest, "/") {
			return nil, fmt.Errorf("%w: a socket's path begins with a slash, not %q", ErrAddress, rest)
		}
		o.Addrs = []string{rest}
		return o, takeParameters(o, parameters)
	}
	plain, kind, _ := strings.Cut(scheme, "+")
	if plain != "redis" && plain != "rediss" {
		return nil, fmt.Errorf("%w: %s:// is unknown", ErrAddress, scheme)
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := takeHosts(o, kind, hosts, path); err != nil {
		return nil, err
	}
	if plain == "rediss" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, takeParameters(o, parameters)
}

// clientOptions are those that the journal depends on. The client must not retry: what became of a group is found out
// here. It must not follow a context only in its own time, and it must not announce itself with commands that a managed
// Redis may forbid.
func clientOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, Protocol: 2, DisableIdentity: true,
		DialTimeout: 2 * time.Second, ReadTimeout: clientTimeout, WriteTimeout: clientTimeout, PoolTimeout: clientTimeout,
		PoolSize: poolSize, MaxIdleConns: idleConns, PipelinePoolSize: -1, ReadBufferSize: 64 << 10, WriteBufferSize: 256 << 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func credentials(o *redis.UniversalOptions, userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	var errs [2]error
	o.Username, errs[0] = url.PathUnescape(user)
	o.Password, errs[1] = url.PathUnescape(password)
	if errs[0] != nil || errs[1] != nil {
		return fmt.Errorf("%w: its user or password is not percent-encoded", ErrAddress)
	}
	return nil
}

func takeHosts(o *redis.UniversalOptions, kind, hosts, path string) error {
	port := "6379"
	switch kind {
	case "":
		if path != "" {
			db, err := strconv.ParseUint(path, 10, 16)
			if err != nil {
				return fmt.Errorf("%w: %q is not the number of a database", ErrAddress, path)
			}
			o.DB = int(db)
		}
	case "sentinel":
		if path == "" || strings.Contains(path, "/") {
			return fmt.Errorf("%w: the name of the master follows the sentinels, as in redis+sentinel://host:26379/main", ErrAddress)
		}
		o.MasterName, port = path, "26379"
	case "cluster":
		if path != "" {
			return fmt.Errorf("%w: a cluster has no databases", ErrAddress)
		}
		o.IsClusterMode = true
	default:
		return fmt.Errorf("%w: %q is neither sentinel nor cluster", ErrAddress, kind)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		h, p, err := splitHost(host, port)
		if err != nil {
			return err
		}
		o.Addrs = append(o.Addrs, net.JoinHostPort(h, p))
	}
	if kind == "" && len(o.Addrs) > 1 {
		return fmt.Errorf("%w: several hosts are redis+sentinel:// or redis+cluster://", ErrAddress)
	}
	return nil
}

func splitHost(host, port string) (string, string, error) {
	if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
		host += ":" + port
	}
	h, p, err := net.SplitHostPort(host)
	if n, e := strconv.ParseUint(p, 10, 16); err != nil || e != nil || n == 0 || h == "" {
		return "", "", fmt.Errorf("%w: %q is not host:port", ErrAddress, host)
	}
	return h, p, nil
}

func takeParameters(o *redis.UniversalOptions, parameters url.Values) error {
	for name, values := range parameters {
		value := values[len(values)-1]
		sentinel := o.MasterName != ""
		switch {
		case name == "db" && !o.IsClusterMode:
			db, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return fmt.Errorf("%w: %q is not the number of a database", ErrAddress, value)
			}
			o.DB = int(db)
		case name == "sentinel_user" && sentinel:
			o.SentinelUsername = value
		case name == "sentinel_password" && sentinel:
			o.SentinelPassword = value
		default:
			return fmt.Errorf("%w: the parameter %q means nothing here", ErrAddress, name)
		}
	}
	return nil
}
