package drawfiles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/operator"
)

const fetchTimeout = 30 * time.Second

// ReadBeacon returns the beacon in a file or at the URL of a drand relay, as JSON. It checks only the form: whether the
// beacon decides a draw is for the server to check.
func ReadBeacon(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var source io.ReadCloser
	var err error
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		source, err = fetch(ctx, from)
	} else {
		source, err = os.Open(from)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(source, operator.MaxBeacon+1))
	if err = errors.Join(err, source.Close()); err != nil {
		return nil, err
	}
	if _, err := draw.ParseBeacon(data); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return data, nil
}

// StandIn returns the beacon of a stand-in, from its signature in the sale definition. ok is false if the draw is to be
// decided by a round of its own.
func StandIn(d *catalog.Draw) (beacon []byte, ok bool, err error) {
	b := &d.Beacon
	if !b.StandIn || b.Signature == "" {
		return nil, false, nil
	}
	signature, err := hex.DecodeString(b.Signature)
	if err != nil {
		return nil, false, fmt.Errorf("the signature of draw %s in the sale definition: %w", d.ID, err)
	}
	return fmt.Appendf(nil, `{"round":%d,"randomness":"%x","signature":"%s"}`, b.Round, sha256.Sum256(signature),
		b.Signature), true, nil
}

// fetch returns what a relay responds with. The caller closes it.
func fetch(ctx context.Context, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: status %s", address, response.Status), response.Body.Close())
	}
	return response.Body, nil
}
