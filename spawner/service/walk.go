package service

import (
	"fmt"
	"reflect"
	"slices"
)

func valueOf(d *Definition) reflect.Value { return reflect.ValueOf(d).Elem() }

// eachText calls f for every string in v: fields, list entries, map keys and
// map values, with the path of each.
func eachText(field string, v reflect.Value, f func(field, s string)) {
	switch v.Kind() {
	case reflect.String:
		f(field, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachText(field, v.Elem(), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachText(fmt.Sprintf("%s[%d]", field, i), v.Index(i), f)
		}
	case reflect.Map:
		for _, key := range mapKeys(v) {
			f(field, key)
			eachText(join(field, shorten(key)), v.MapIndex(reflect.ValueOf(key)), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachText(join(field, v.Type().Field(i).Tag.Get("yaml")), v.Field(i), f)
		}
	}
}

// mapKeys returns the keys of a map of strings in order.
func mapKeys(v reflect.Value) []string {
	keys := make([]string, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		keys = append(keys, it.Key().String())
	}
	slices.Sort(keys)
	return keys
}

func join(parent, name string) string {
	if parent == "" || name == "" {
		return parent + name
	}
	return parent + "." + name
}
