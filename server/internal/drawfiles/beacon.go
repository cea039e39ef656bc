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
	read := readFile
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		read = fetch
	}
	data, err := read(ctx, from)
	if err != nil {
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

func readFile(_ context.Context, name string) (data []byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, operator.MaxBeacon+1))
}

func fetch(ctx context.Context, address string) (data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, operator.MaxBeacon+1))
}
