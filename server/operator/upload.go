package operator

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/encode"
)

// MaxDefinition is the most bytes of a tar archive with a sale definition.
const MaxDefinition = 32 << 20

// The most time in which a large body may arrive, and the most between two parts of it.
const (
	longestUpload  = 10 * time.Minute
	longestSilence = 30 * time.Second
)

// definition reads the sale in the body. Until the caller calls done, another one is refused: the archive, the files
// and the sale of each take memory.
func (s *sales) definition(w http.ResponseWriter, r *http.Request) (sale *catalog.Sale, done func(), err error) {
	sent, err := uploaded(w, r, MaxDefinition)
	if err != nil {
		return nil, nil, err
	}
	if !s.reading.TryLock() {
		return nil, nil, &refusal{&changeUnderWay, "another definition is being read or applied; retry when that has ended"}
	}
	defer func() {
		if err != nil {
			s.reading.Unlock()
		}
	}()
	files, err := catalog.ReadTar(sent)
	if err == nil {
		_, err = io.Copy(io.Discard, sent) // the padding after the end of the archive
	}
	if err != nil {
		return nil, nil, incomplete(err, MaxDefinition)
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

// uploaded returns the body of a request, of at most so many bytes.
func uploaded(w http.ResponseWriter, r *http.Request, most int64) (*upload, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &refusal{&encode.UnsupportedMedia, "the body must not be compressed"}
	}
	return &upload{http.MaxBytesReader(w, r.Body, most), http.NewResponseController(w),
		time.Now().Add(longestUpload)}, nil
}

// incomplete returns the refusal of a body of which not all could be read.
func incomplete(err error, most int) error {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return &refusal{&encode.PayloadTooLarge, fmt.Sprintf("the body has at most %d bytes", most)}
	}
	return malformed(err.Error())
}

// upload extends the read deadline before each read: a large body may come over a slow link, as long as it keeps
// coming.
type upload struct {
	body    io.Reader
	control *http.ResponseController
	until   time.Time
}

func (u *upload) Read(to []byte) (int, error) {
	deadline := time.Now().Add(longestSilence)
	if deadline.After(u.until) {
		deadline = u.until
	}
	if err := u.control.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return u.body.Read(to)
}
