package api

import (
	"reflect"

	"hks.dev/hks/agent"
)

// hide returns v with agent.HiddenValue for every environment value of every
// agent.Spec in it, however deep. v itself is left as it is: what has to
// change is copied.
func hide(v any) any {
	if v == nil {
		return nil
	}
	hidden, changed := hideIn(reflect.ValueOf(v))
	if !changed {
		return v
	}
	return hidden.Interface()
}

func hideIn(v reflect.Value) (reflect.Value, bool) {
	if spec, ok := reflect.TypeAssert[agent.Spec](v); ok {
		return hideSpec(spec)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return hideBehind(v)
	case reflect.Struct:
		return hideFields(v)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() <= reflect.Complex128 || v.Type().Elem().Kind() == reflect.String {
			return v, false // bytes, numbers and text hold no Spec
		}
		return hideElements(v)
	case reflect.Map:
		return hideEntries(v)
	}
	return v, false
}

func hideSpec(spec agent.Spec) (reflect.Value, bool) {
	if len(spec.Env) == 0 {
		return reflect.ValueOf(spec), false
	}
	hidden := make(map[string]string, len(spec.Env))
	for name := range spec.Env {
		hidden[name] = agent.HiddenValue
	}
	spec.Env = hidden
	return reflect.ValueOf(spec), true
}

func hideBehind(v reflect.Value) (reflect.Value, bool) {
	if v.IsNil() {
		return v, false
	}
	inner, changed := hideIn(v.Elem())
	if !changed {
		return v, false
	}
	if v.Kind() == reflect.Interface {
		return inner, true
	}
	pointer := reflect.New(v.Type().Elem())
	pointer.Elem().Set(inner)
	return pointer, true
}

func hideFields(v reflect.Value) (reflect.Value, bool) {
	out := v
	changed := false
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		field, fieldChanged := hideIn(v.Field(i))
		if !fieldChanged {
			continue
		}
		if !changed {
			out = reflect.New(v.Type()).Elem()
			out.Set(v)
			changed = true
		}
		out.Field(i).Set(field)
	}
	return out, changed
}

func hideElements(v reflect.Value) (reflect.Value, bool) {
	out := v
	changed := false
	for i := range v.Len() {
		element, elementChanged := hideIn(v.Index(i))
		if !elementChanged {
			continue
		}
		if !changed {
			out = reflect.New(v.Type()).Elem()
			if v.Kind() == reflect.Slice {
				out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			}
			reflect.Copy(out, v)
			changed = true
		}
		out.Index(i).Set(element)
	}
	return out, changed
}

func hideEntries(v reflect.Value) (reflect.Value, bool) {
	out := v
	changed := false
	for entries := v.MapRange(); entries.Next(); {
		value, valueChanged := hideIn(entries.Value())
		if !valueChanged {
			continue
		}
		if !changed {
			out = reflect.MakeMapWithSize(v.Type(), v.Len())
			for again := v.MapRange(); again.Next(); {
				out.SetMapIndex(again.Key(), again.Value())
			}
			changed = true
		}
		out.SetMapIndex(entries.Key(), value)
	}
	return out, changed
}
