package policy

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// store is the immutable data document of a generation, kept in the form that
// evaluation works on, so that a read converts nothing.
type store struct {
	storage.PolicyNotSupported
	storage.TriggersNotSupported
	storage.WritesNotSupported
	root ast.Object
}

type transaction struct{}

func (transaction) ID() uint64 { return 0 }

func (*store) NewTransaction(context.Context, ...storage.TransactionParams) (storage.Transaction, error) {
	return transaction{}, nil
}

func (s *store) Read(_ context.Context, _ storage.Transaction, path storage.Path) (any, error) {
	var value ast.Value = s.root
	for _, key := range path {
		object, ok := value.(ast.Object)
		if !ok {
			return nil, &storage.Error{Code: storage.NotFoundErr}
		}
		term := object.Get(ast.StringTerm(key))
		if term == nil {
			return nil, &storage.Error{Code: storage.NotFoundErr}
		}
		value = term.Value
	}
	return value, nil
}

func (*store) Commit(context.Context, storage.Transaction) error { return nil }

func (*store) Abort(context.Context, storage.Transaction) {}

func (*store) Truncate(context.Context, storage.Transaction, storage.TransactionParams, storage.Iterator) error {
	return &storage.Error{Code: storage.WritesNotSupportedErr, Message: "a generation of policy never changes"}
}
