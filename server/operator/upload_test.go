package operator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUploadsThatStop: while the bodies of some calls do not come, others are served. They end when theirs have come.
func TestUploadsThatStop(t *testing.T) {
	s := sell(t)
	digest := s.call("GET", "/admin/sale", "").header.Get("ETag")
	for _, c := range []struct{ path, body string }{
		{"/admin/sale/plan", tarOf(t)}, {"/admin/sale/apply", tarOf(t)}, {"/admin/groups/friends/accounts", "alice\nbob\n"},
	} {
		body, rest := io.Pipe()
		r := httptest.NewRequest(http.MethodPost, "http://localhost"+c.path, body)
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set("If-Match", digest)
		w, ended := httptest.NewRecorder(), make(chan struct{})
		go func() {
			defer close(ended)
			s.port.ServeHTTP(w, r)
		}()
		half := len(c.body) / 2
		_, err := io.WriteString(rest, c.body[:half]) // it returns when that has been read
		require.NoError(t, err)
		for range 2 {
			s.want(200, "", "POST", c.path, c.body, "If-Match", digest)
		}
		_, err = io.WriteString(rest, c.body[half:])
		require.NoError(t, err)
		require.NoError(t, rest.Close())
		<-ended
		require.Equal(t, 200, w.Code, "%s", w.Body)
	}
}

// TestUploadsAreBounded: all uploads together take no more room than there is, and give it back.
func TestUploadsAreBounded(t *testing.T) {
	of := &uploads{}
	of.room.Store(3 * partBytes)
	read := func(body io.Reader) (*upload, error) {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		return of.read(httptest.NewRecorder(), r, 8*partBytes)
	}
	text := strings.Repeat("0123456789abcdef", 2*partBytes/16)
	first, err := read(strings.NewReader(text[1:]))
	require.NoError(t, err)
	for range 2 { // the room can be read again
		got, err := io.ReadAll(first.reader())
		require.NoError(t, err)
		require.Equal(t, text[1:], string(got))
	}
	for range 2 {
		_, err = read(strings.NewReader(text[1:]))
		var refused *refusal
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 503, refused.rule.Status)
		require.EqualValues(t, partBytes, of.room.Load())
	}
	small, err := read(strings.NewReader(""))
	require.NoError(t, err)
	require.Zero(t, of.room.Load())
	first.done()
	small.done()
	require.EqualValues(t, 3*partBytes, of.room.Load())
	for _, fault := range []error{errors.New("broken"), io.ErrUnexpectedEOF} { // not taken for the end
		_, err = read(io.MultiReader(strings.NewReader(text[1:]), &failing{fault}))
		require.ErrorContains(t, err, fault.Error())
		require.EqualValues(t, 3*partBytes, of.room.Load())
	}
	of.room.Store(9 * partBytes)
	_, err = read(bytes.NewReader(make([]byte, 8*partBytes+1)))
	var refused *refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusRequestEntityTooLarge, refused.rule.Status)
	require.EqualValues(t, 9*partBytes, of.room.Load())
}

// failing is a body that breaks off.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
