package catalog

// Change is one difference between two definitions of a sale, in words.
type Change struct {
	What     string // such as "session ATH10" or "session ATH10, category A"
	Field    string // such as "session_limit"
	From, To string
}
