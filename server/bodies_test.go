package server

import (
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// changeCall is a call about one reservation, and the members that its body may and must have.
type changeCall struct {
	name      string
	shape     shape
	may, must []string
}

var changeCalls = []changeCall{
	{"confirm", confirmShape, []string{"reference", "again"}, nil},
	{"release", releaseShape, nil, nil},
	{"extend", extendShape, []string{"expires_at"}, []string{"expires_at"}},
	{"reduce", reduceShape, []string{"lines"}, []string{"lines"}},
	{"return", returnShape, []string{"reference"}, nil},
}

// decodeNaively is a simple decoder of the call's body. It returns false for a body that must be refused.
func (c *changeCall) decodeNaively(body []byte) (op engine.Op, ok bool) {
	if len(body) == 0 {
		return op, len(c.must) == 0
	}
	var members map[string]jsontext.Value
	if jsontext.Value(body).Kind() != '{' || json.Unmarshal(body, &members) != nil {
		return op, false
	}
	for _, name := range c.must {
		if members[name] == nil {
			return op, false
		}
	}
	for name, value := range members {
		if !slices.Contains(c.may, name) {
			return op, false
		}
		switch name {
		case "reference":
			op.Reference, ok = unquoted(value), isString(value)
		case "again":
			op.Again, ok = value.Kind() == 't', value.Kind() == 't' || value.Kind() == 'f'
		case "expires_at":
			op.ExpiresAt, ok = instantNaively(unquoted(value))
			ok = ok && isString(value)
		case "lines":
			op.Lines, ok = decodeLinesNaively(value)
			ok = ok && value.Kind() == '['
		}
		if !ok {
			return op, false
		}
	}
	return op, true
}

// FuzzChangeDecoder compares the decoder of the calls about one reservation with the simple one. It reuses its memory,
// so what one body has must not remain for the next.
func FuzzChangeDecoder(f *testing.F) {
	for _, body := range []string{
		``, ` `, `{}`, `[]`, `null`, `{"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77"}`, `{"account":"a"}`, `{"op":"confirm"}`,
		`{"reference":"pay"}`, `{"reference":"\u0000"}`, `{"reference":null}`, `{"reference":"a","reference":"a"}`,
		`{"again":true}`, `{"again":false}`, `{"again":"true"}`, `{"again":1}`, `{"again":tru}`, `{"again":truE}`,
		`{"again":true,"reference":"pay"}`, `{"again":nul`, `{"again":t`, `{"again":trueish}`, `{"again" : false }`,
		`{"expires_at":"2023-11-30T09:40:00Z"}`, `{"expires_at":"2023-11-30T09:40:00.1239999Z"}`,
		`{"expires_at":"2023-11-30T09:40:00+05:30"}`, `{"expires_at":"2023-11-30T09:40:00-00:00"}`,
		`{"expires_at":"2023-11-30t09:40:00z"}`, `{"expires_at":"2023-11-30T09:40:00"}`, `{"expires_at":"2023-11-30"}`,
		`{"expires_at":"2023-02-29T09:40:00Z"}`, `{"expires_at":"2023-11-30T24:00:00Z"}`, `{"expires_at":""}`,
		`{"expires_at":"2023-11-30T9:40:00Z"}`, `{"expires_at":"2023-11-30T09:40:00,5Z"}`, `{"expires_at":1701337200}`,
		`{"expires_at":"2023-11-30T09:40:00+24:00"}`, `{"expires_at":"2023-11-30T09:40:60Z"}`, `{"expires_at":null}`,
		`{"expires_at":"99999-11-30T09:40:00Z"}`, `{"expires_at":"0000-01-01T00:00:00Z"}`, `{"expires_at":"tomorrow"}`,
		`{"expires_at":"2023-11-30T09:40:00.Z"}`, `{"expires_at":"2023-11-30T09:40:00\u005a"}`,
		`{"lines":[]}`, `{"lines":{}}`, `{"lines":[{"session":"s","category":"c","quantity":0}]}`,
		`{"lines":[{"session":"s","category":"c","quantity":1}],"reference":"pay"}`, `{"lines":[{"session":"s"}]}`,
	} {
		for i := range changeCalls {
			f.Add([]byte(body), uint8(i))
		}
	}
	d, op := &decoder{}, engine.Op{}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		c := &changeCalls[int(which)%len(changeCalls)]
		want, ok := c.decodeNaively(body)
		err := d.change(body, c.shape, &op)
		require.Equal(t, ok, err == nil, "%s %q: %v", c.name, body, err)
		if err != nil {
			var refusal *engine.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, engine.MalformedRequest, refusal.Code)
			contractSafe(t, refusal)
			return
		}
		require.Equal(t, want.Reference, op.Reference)
		require.Equal(t, want.Again, op.Again)
		require.True(t, want.ExpiresAt.Equal(op.ExpiresAt), "%s: %v, %v", body, want.ExpiresAt, op.ExpiresAt)
		require.Equal(t, append([]engine.Line{}, want.Lines...), append([]engine.Line{}, op.Lines...))
		require.Zero(t, op.ID)
	})
}

// TestFaultsOfChanges checks which part of the body of a change is named as the fault.
func TestFaultsOfChanges(t *testing.T) {
	for _, c := range []struct {
		shape       shape
		body, where string
	}{
		{confirmShape, ` `, "body"}, {confirmShape, `[]`, "body"}, {confirmShape, `{} {}`, "body"},
		{confirmShape, `{"account":1}`, "body"}, {confirmShape, `{"id":1}`, "body"}, {confirmShape, `{"lines":[]}`, "body"},
		{confirmShape, `{"reference":1}`, "reference"}, {confirmShape, `{"again":"yes"}`, "again"},
		{confirmShape, `{"again":null}`, "again"}, {confirmShape, `{"again":tr}`, "body"},
		{releaseShape, `{"reference":"a"}`, "body"},
		{extendShape, ``, "body"}, {extendShape, `{}`, "expires_at"}, {extendShape, `{"expires_at":null}`, "expires_at"},
		{extendShape, `{"expires_at":"2023-11-30"}`, "expires_at"}, {extendShape, `{"expires_at":17}`, "expires_at"},
		{extendShape, `{"expires_at":"2023-13-30T09:40:00Z"}`, "expires_at"}, {extendShape, `{"ttl_seconds":60}`, "body"},
		{reduceShape, ``, "body"}, {reduceShape, `{}`, "lines"}, {reduceShape, `{"lines":1}`, "lines"},
		{reduceShape, `{"lines":[{"session":"s","category":"c"}]}`, "lines[0].quantity"},
		{reduceShape, `{"lines":[{"session":"s","category":"c","quantity":1.5}]}`, "lines[0].quantity"},
		{reduceShape, `{"lines":[1]}`, "lines[0]"}, {returnShape, `{"again":true}`, "body"},
		{returnShape, `{"reference":{}}`, "reference"},
	} {
		err := (&decoder{}).change([]byte(c.body), c.shape, &engine.Op{})
		var refusal *engine.Refusal
		require.ErrorAs(t, err, &refusal, c.body)
		require.Equal(t, c.where, refusal.Rule().Facts[0].Text(refusal), "%s: %s", c.body, refusal.Where)
	}
}

// An operation that is decoded into the memory of another has nothing of it, alone and in a batch. A rest of `again`
// would sell what has expired.
func TestNothingRemainsOfAnOperation(t *testing.T) {
	var d decoder
	op := engine.Op{}
	for body, s := range map[string]shape{
		`{"reference":"pay","again":true}`: confirmShape, `{"expires_at":"2023-11-30T09:40:00Z"}`: extendShape,
		`{"lines":[{"session":"s","category":"c","quantity":1}]}`: reduceShape,
	} {
		require.NoError(t, d.change([]byte(body), s, &op))
		require.NoError(t, d.change(nil, confirmShape, &op))
		require.Empty(t, op.Lines)
		op.Lines, op.Request.Lines = nil, nil
		require.Equal(t, engine.Op{}, op, body)
	}
	id := `"id":"` + someID + `"`
	ops, err := d.batch([]byte(`{"operations":[{"op":"confirm",`+id+`,"again":true,"reference":"pay"},`+
		`{"op":"extend",`+id+`,"expires_at":"2023-11-30T09:40:00Z"},`+
		`{"op":"reserve","account":"a","phase":"p","ttl_seconds":1,"replaces":"`+someID+`","lines":[`+
		`{"session":"s","category":"c","quantity":1}]}]}`), nil)
	require.NoError(t, err)
	one := `{"op":"confirm",` + id + `}`
	ops, err = d.batch([]byte(`{"operations":[`+one+`,`+one+`,`+one+`]}`), ops)
	require.NoError(t, err)
	for i := range ops {
		require.Equal(t, []any{engine.OpConfirm, "", false, true, 0, engine.ID{}, "", ""}, []any{ops[i].Kind,
			ops[i].Reference, ops[i].Again, ops[i].ExpiresAt.IsZero(), len(ops[i].Lines), ops[i].Request.Replaces,
			ops[i].Request.Account, ops[i].Request.Phase})
	}
}
