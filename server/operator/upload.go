package operator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/encode"
)

// MaxDefinition is the most bytes of a tar archive with a sale definition.
const MaxDefinition = 32 << 20

// maxUploads is the most memory that the bodies of all uploads in progress take together: four of the largest. Each
// takes as much as has come of it, so those that come slowly, or stop, leave room for others.
const maxUploads = 128 << 20

// The most time in which a large body may arrive, and the most between two parts of it.
const (
	longestUpload  = 10 * time.Minute
	longestSilence = 30 * time.Second
)

// definition reads the sale in the body. Until the caller calls used, another one is refused: the files and the sale
// of each take memory. The body is read before that, so one that comes slowly keeps nobody waiting.
func (s *sales) definition(w http.ResponseWriter, r *http.Request) (sale *catalog.Sale, used func(), err error) {
	sent, err := s.uploads.read(w, r, MaxDefinition)
	if err != nil {
		return nil, nil, err
	}
	defer sent.done()
	if !s.reading.TryLock() {
		return nil, nil, &refusal{&changeUnderWay, "another definition is being read or applied; retry when that has ended"}
	}
	defer func() {
		if err != nil {
			s.reading.Unlock()
		}
	}()
	files, err := catalog.ReadTar(sent.reader())
	if err != nil {
		return nil, nil, malformed(err.Error())
	}
	if sale, err = catalog.LoadFS(files.FS()); err != nil {
		return nil, nil, faulty(err)
	}
	return sale, s.reading.Unlock, nil
}

// faulty returns the refusal of a faulty definition; other errors as they are.
func faulty(err error) error {
	faults, ok := errors.AsType[*catalog.Faults](err)
	if !ok {
		return err
	}
	all := make([]string, len(faults.List), len(faults.List)+1)
	for i := range faults.List {
		all[i] = faults.List[i].Error()
	}
	if faults.More > 0 {
		all = append(all, fmt.Sprintf("and %d more", faults.More))
	}
	detail := "the definition has faults; `seathold sale check` lists them too"
	return &withFacts{&refusal{&faultyDefinition, detail}, struct {
		Faults []string `json:"faults"`
	}{all}}
}

// uploads are the bodies of definitions and lists of accounts that are being read or used.
type uploads struct {
	room atomic.Int64 // bytes
}

func newUploads() *uploads {
	u := &uploads{}
	u.room.Store(maxUploads)
	return u
}

// take takes room for so many bytes, if there is some.
func (u *uploads) take(size int64) bool {
	if u.room.Add(-size) >= 0 {
		return true
	}
	u.room.Add(size)
	return false
}

// upload is a body of which all has come.
type upload struct {
	of    *uploads
	parts [][]byte
}

// partBytes is how much room an upload takes at a time.
const partBytes = 64 << 10

// read reads the body of a request, of at most so many bytes. The caller calls done on the upload.
func (u *uploads) read(w http.ResponseWriter, r *http.Request, most int) (*upload, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &refusal{&encode.UnsupportedMedia, "the body must not be compressed"}
	}
	from := &arrival{http.MaxBytesReader(w, r.Body, int64(most)), http.NewResponseController(w),
		time.Now().Add(longestUpload)}
	sent := &upload{of: u}
	if err := sent.fill(from); err != nil {
		sent.done()
		return nil, incomplete(err, most)
	}
	return sent, nil
}

// fill reads to the end of a body.
func (u *upload) fill(from io.Reader) error {
	for {
		if !u.of.take(partBytes) {
			return &refusal{&uploadsFull, "other calls upload too much at this moment; retry later"}
		}
		part, filled, err := make([]byte, partBytes), 0, error(nil)
		for filled < len(part) && err == nil {
			var n int
			n, err = from.Read(part[filled:])
			filled += n
		}
		u.parts = append(u.parts, part[:filled])
		if err == io.EOF { // a body that breaks off ends with another error
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reader returns a reader at the beginning of the body.
func (u *upload) reader() io.Reader {
	parts := make([]io.Reader, len(u.parts))
	for i, part := range u.parts {
		parts[i] = bytes.NewReader(part)
	}
	return io.MultiReader(parts...)
}

// done gives the room back. The upload must not be used any more.
func (u *upload) done() {
	u.of.room.Add(int64(len(u.parts)) * partBytes)
	u.parts = nil
}

// incomplete returns the refusal of a body of which not all could be read.
func incomplete(err error, most int) error {
	if own, ok := errors.AsType[*refusal](err); ok {
		return own
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return &refusal{&encode.PayloadTooLarge, fmt.Sprintf("the body has at most %d bytes", most)}
	}
	return malformed(err.Error())
}

// arrival extends the read deadline before each read: a large body may come over a slow link, as long as it keeps
// coming.
type arrival struct {
	body    io.Reader
	control *http.ResponseController
	until   time.Time
}

func (a *arrival) Read(to []byte) (int, error) {
	deadline := time.Now().Add(longestSilence)
	if deadline.After(a.until) {
		deadline = a.until
	}
	if err := a.control.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return a.body.Read(to)
}
