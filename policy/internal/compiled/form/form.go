// Package form numbers what stands in a program of package compiled, for the
// one who writes it and the one who reads it.
package form

// What a term begins with.
const (
	None     = iota // no term
	Scalar          // number of a scalar or variable
	Ref             // number of a reference
	Call            // terms
	Array           // terms
	Set             // terms
	Object          // count, pairs of terms
	ArrayOf         // term, body
	SetOf           // term, body
	ObjectOf        // key, value, body
)

// What a scalar begins with; all but the first three go on with length and text.
const (
	Null = iota
	False
	True
	String
	Number
	Var
)

// Forms of an expression, with its place before and what it has after.
const (
	Bare  = iota // term
	Apply        // terms
	Not          // body
	Every        // key, value, domain, body
	Forms
)

// Nowhere is no place; other places count from 1.
const Nowhere = 0

// Flags are added to a form, each times its number of forms.
const (
	Negated   = 1 * Forms
	Generated = 2 * Forms
	Explicit  = 4 * Forms // of Not
)

// Flags of a rule.
const (
	Assign  = 1
	Default = 2
	Else    = 4 // another rule follows
	Named   = 8 // the head's name is its reference's first element
)
