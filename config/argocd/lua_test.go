// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package argocd_test

import (
	"encoding/json"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// run gives what a script returns for an object, in a state like the one Argo CD gives to scripts of
// argocd-cm: base, table, package, of os only date and time, and a second.
func run(t *testing.T, script string, object map[string]any) any {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.OsLibName: lua.OpenOs,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	full, safe := state.GetGlobal(lua.OsLibName).(*lua.LTable), state.NewTable()
	for _, name := range []string{"date", "time"} {
		safe.RawSetString(name, full.RawGetString(name))
	}
	state.SetGlobal(lua.OsLibName, safe)
	state.GetField(state.GetGlobal("package"), "loaded").(*lua.LTable).RawSetString(lua.OsLibName, safe)

	state.SetGlobal("obj", toLua(state, object))
	done := time.AfterFunc(10*time.Second, func() { panic("the script runs for ever") })
	defer done.Stop()
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	return fromLua(state.Get(-1))
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		list := state.NewTable()
		for _, item := range v {
			list.Append(toLua(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}

// fromLua reads a table with numbered items as a list. Lua has one kind of empty table: nil stands for it.
func fromLua(value lua.LValue) any {
	switch v := value.(type) {
	case lua.LBool:
		return bool(v)
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		return string(v)
	case *lua.LTable:
		if v.Len() > 0 {
			list := make([]any, 0, v.Len())
			for i := 1; i <= v.Len(); i++ {
				list = append(list, fromLua(v.RawGetInt(i)))
			}
			return list
		}
		table := map[string]any{}
		v.ForEach(func(key, item lua.LValue) { table[key.String()] = fromLua(item) })
		if len(table) > 0 {
			return table
		}
	}
	return nil
}

// plain is a value in the form that fromLua gives.
func plain(value any) any {
	switch v := value.(type) {
	case []any:
		if len(v) == 0 {
			return nil
		}
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, plain(item))
		}
		return list
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
		table := map[string]any{}
		for key, item := range v {
			table[key] = plain(item)
		}
		return table
	default:
		return v
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
