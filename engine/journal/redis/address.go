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

var errAddress = errors.New("not a valid Redis address")

// clientTimeout bounds every read and write of the client that has no shorter deadline; each call sets one.
const clientTimeout = time.Minute

// idleConns is how many idle connections are kept: one for groups, one for checkpoints, one for reads.
const idleConns = 3

// poolSize is more than will ever be open. It is also the number of failed dials in a row after which the client dials
// only once a second. With the growing pauses between attempts here, a Redis that restarts is back long before so many
// fail.
const poolSize = 512

// parseAddress parses an address as Options.Address documents it. Its errors are errAddress and repeat no part of the
// address, since a malformed one may have its password anywhere. go-redis' own ParseURL is not used: its errors repeat
// the whole URL, it lets parameters override the options that the journal depends on, it takes localhost for a missing
// host, and it has neither these schemes nor lists of hosts.
func parseAddress(address string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return nil, fmt.Errorf("%w: it must begin with redis://, rediss:// or unix://", errAddress)
	}
	rest, query, _ := strings.Cut(rest, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: the parameters after the question mark are malformed", errAddress)
	}
	o := clientOptions()
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := setCredentials(o, rest[:at]); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	if scheme == "unix" {
		if !strings.HasPrefix(rest, "/") {
			return nil, fmt.Errorf("%w: the socket's path must begin with a slash", errAddress)
		}
		o.Addrs = []string{rest}
		return o, setParameters(o, parameters)
	}
	plain, kind, _ := strings.Cut(scheme, "+")
	if plain != "redis" && plain != "rediss" {
		return nil, fmt.Errorf("%w: it must begin with redis://, rediss:// or unix://", errAddress)
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := setHosts(o, kind, hosts, path); err != nil {
		return nil, err
	}
	if plain == "rediss" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, setParameters(o, parameters)
}

// clientOptions returns the options that the journal depends on: no retries by the client, since this package finds out
// what became of a group; deadlines of contexts are obeyed; and no commands that announce the client, since a managed
// Redis may forbid them.
func clientOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, Protocol: 2, DisableIdentity: true,
		DialTimeout: 2 * time.Second, ReadTimeout: clientTimeout, WriteTimeout: clientTimeout, PoolTimeout: clientTimeout,
		PoolSize: poolSize, MaxIdleConns: idleConns, PipelinePoolSize: -1,
		ReadBufferSize: 64 << 10, WriteBufferSize: 256 << 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func setCredentials(o *redis.UniversalOptions, userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	var errs [2]error
	o.Username, errs[0] = url.PathUnescape(user)
	o.Password, errs[1] = url.PathUnescape(password)
	if errs[0] != nil || errs[1] != nil {
		return fmt.Errorf("%w: its user or password is not percent-encoded", errAddress)
	}
	return nil
}

func setDatabase(o *redis.UniversalOptions, text string) error {
	db, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: the database must be a number up to 65535", errAddress)
	}
	o.DB = int(db)
	return nil
}

func setHosts(o *redis.UniversalOptions, kind, hosts, path string) error {
	port := "6379"
	switch kind {
	case "":
		if path != "" {
			if err := setDatabase(o, path); err != nil {
				return err
			}
		}
	case "sentinel":
		if path == "" || strings.Contains(path, "/") {
			return fmt.Errorf("%w: the master's name must follow the sentinels, as in redis+sentinel://host:26379/main",
				errAddress)
		}
		o.MasterName, port = path, "26379"
	case "cluster":
		if path != "" {
			return fmt.Errorf("%w: a cluster has no databases", errAddress)
		}
		o.IsClusterMode = true
	default:
		return fmt.Errorf("%w: it must begin with redis+sentinel:// or redis+cluster://", errAddress)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
			host += ":" + port
		}
		h, p, err := net.SplitHostPort(host)
		if n, e := strconv.ParseUint(p, 10, 16); err != nil || e != nil || n == 0 || h == "" {
			return fmt.Errorf("%w: a host is not HOST or HOST:PORT; / ? @ : in the password must be percent-encoded",
				errAddress)
		}
		o.Addrs = append(o.Addrs, net.JoinHostPort(h, p))
	}
	if kind == "" && len(o.Addrs) > 1 {
		return fmt.Errorf("%w: several hosts need redis+sentinel:// or redis+cluster://", errAddress)
	}
	return nil
}

func setParameters(o *redis.UniversalOptions, parameters url.Values) error {
	sentinel := o.MasterName != ""
	for name, values := range parameters {
		value := values[len(values)-1]
		switch {
		case name == "db" && !o.IsClusterMode:
			if err := setDatabase(o, value); err != nil {
				return err
			}
		case name == "sentinel_user" && sentinel:
			o.SentinelUsername = value
		case name == "sentinel_password" && sentinel:
			o.SentinelPassword = value
		default:
			return fmt.Errorf("%w: the only parameters are db, and with sentinels sentinel_user and sentinel_password",
				errAddress)
		}
	}
	return nil
}

// Location returns an address for logs and messages: its scheme, hosts, and master or database, without user, password
// and parameters. Nothing is known to be public in a malformed address, so none of it is returned.
func Location(address string) string {
	o, err := parseAddress(address)
	if err != nil {
		return "a malformed address"
	}
	scheme, _, _ := strings.Cut(address, "://")
	where := scheme + "://" + strings.Join(o.Addrs, ",")
	if o.MasterName != "" {
		where += "/" + o.MasterName
	}
	if o.DB > 0 {
		where += "?db=" + strconv.Itoa(o.DB)
	}
	return where
}
