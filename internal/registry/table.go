package registry

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// NameColumn is the first column of every kind.
var NameColumn = metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name",
	Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}

// AgeColumn is the time since creation.
var AgeColumn = Column("Age", "string", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])

// Column describes a column that is always shown; valueType is "string",
// "integer" or "boolean".
func Column(name, valueType, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: valueType, Description: description}
}

// WideColumn describes a column that is shown with `-o wide` only.
func WideColumn(name, valueType, description string) metav1.TableColumnDefinition {
	column := Column(name, valueType, description)
	column.Priority = 1
	return column
}

// Age prints the time since t as kubectl does, and "<unknown>" for zero.
func Age(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(t.Time))
}

// table prints objects of one kind with its columns.
type table[O Object] struct {
	columns []metav1.TableColumnDefinition
	row     func(O) []any
}

func newTable[O Object](kind Kind[O]) table[O] {
	if kind.Columns == nil {
		return table[O]{
			columns: []metav1.TableColumnDefinition{NameColumn, AgeColumn},
			row:     func(obj O) []any { return []any{obj.GetName(), Age(obj.GetCreationTimestamp())} },
		}
	}
	return table[O]{columns: kind.Columns, row: kind.Row}
}

// ConvertToTable implements rest.TableConvertor for one object or a list.
func (t table[O]) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{}
	add := func(obj runtime.Object) error {
		typed, ok := obj.(O)
		if !ok {
			return fmt.Errorf("cannot print a %T", obj)
		}
		out.Rows = append(out.Rows, metav1.TableRow{Cells: t.row(typed), Object: runtime.RawExtension{Object: obj}})
		return nil
	}
	if meta.IsListType(object) {
		if err := meta.EachListItem(object, add); err != nil {
			return nil, err
		}
		if list, err := meta.ListAccessor(object); err == nil {
			out.ResourceVersion = list.GetResourceVersion()
			out.Continue = list.GetContinue()
			out.RemainingItemCount = list.GetRemainingItemCount()
		}
	} else {
		if err := add(object); err != nil {
			return nil, err
		}
		if accessor, err := meta.CommonAccessor(object); err == nil {
			out.ResourceVersion = accessor.GetResourceVersion()
		}
	}
	if opts, ok := options.(*metav1.TableOptions); !ok || !opts.NoHeaders {
		out.ColumnDefinitions = t.columns
	}
	return out, nil
}
