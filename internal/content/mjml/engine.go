// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mjml

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

//go:generate ./update.sh

//go:embed mjml.wasm.br
var compressed []byte

// memoryPages bounds the memory of one compilation, in pages of 64 KiB.
const memoryPages = 4096

// compilations, where it is set, keeps the machine code from one engine to the next. Tests set it,
// since the race detector makes ten seconds of each start; in production it would keep in memory
// what Compiler.rest lets go of.
var compilations wazero.CompilationCache

// engine is the compiler, ready to run.
type engine struct {
	runtime wazero.Runtime
	code    wazero.CompiledModule
	result  []byte
}

func newEngine() (*engine, error) {
	ctx := context.Background()
	code, err := io.ReadAll(brotli.NewReader(bytes.NewReader(compressed)))
	if err != nil {
		return nil, fmt.Errorf("unpacking it: %w", err)
	}
	config := wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithMemoryLimitPages(memoryPages)
	if compilations != nil {
		config = config.WithCompilationCache(compilations)
	}
	e := &engine{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	if err := e.load(ctx, code); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *engine) load(ctx context.Context, code []byte) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, e.runtime); err != nil {
		return fmt.Errorf("giving it a system: %w", err)
	}
	var err error
	if e.code, err = e.runtime.CompileModule(ctx, code); err != nil {
		return fmt.Errorf("compiling it: %w", err)
	}
	if err := e.host(ctx); err != nil {
		return fmt.Errorf("giving it a host: %w", err)
	}
	return nil
}

// host is what the module asks of its surroundings. It needs return_result alone; the rest belongs
// to the framework that it was built with, and does nothing here.
func (e *engine) host(ctx context.Context) error {
	b := e.runtime.NewHostModuleBuilder("env")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, ptr, size, _ uint32) {
		if data, ok := m.Memory().Read(ptr, size); ok {
			e.result = bytes.Clone(data)
		}
	}).Export("return_result")
	for _, f := range e.code.ImportedFunctions() {
		module, name, _ := f.Import()
		if module != "env" || name == "return_result" {
			continue
		}
		nothing := api.GoFunc(func(_ context.Context, stack []uint64) { clear(stack) })
		b.NewFunctionBuilder().WithGoFunction(nothing, f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func (e *engine) close() { _ = e.runtime.Close(context.Background()) }

// compile runs in an instance of its own, whose memory goes with it.
func (e *engine) compile(ctx context.Context, source string) (string, error) {
	var input bytes.Buffer
	encoder := json.NewEncoder(&input)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]string{"mjml": source}); err != nil {
		return "", fmt.Errorf("encoding MJML: %w", err)
	}
	e.result = nil
	if err := e.run(ctx, input.Bytes()); err != nil {
		return "", fmt.Errorf("compiling MJML: %w", err)
	}
	var out struct {
		HTML  string `json:"html"`
		Error *struct {
			Message string `json:"message"`
			Details []struct {
				Line    int    `json:"line"`
				Message string `json:"message"`
				TagName string `json:"tagName"`
			} `json:"details"`
		} `json:"error"`
	}
	if err := json.Unmarshal(e.result, &out); err != nil {
		return "", fmt.Errorf("compiling MJML: reading the result: %w", err)
	}
	switch {
	case out.Error == nil:
		return out.HTML, nil
	case len(out.Error.Details) > 0:
		first := out.Error.Details[0]
		message := first.Message
		if first.TagName != "" && !strings.Contains(message, first.TagName) {
			message = "<" + first.TagName + ">: " + message
		}
		return "", &Error{Line: first.Line, Message: message}
	}
	return "", &Error{Message: strings.TrimSpace(out.Error.Message)}
}

func (e *engine) run(ctx context.Context, input []byte) error {
	m, err := e.runtime.InstantiateModule(ctx, e.code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close(context.Background()) }()
	size := uint64(len(input))
	ptr, err := m.ExportedFunction("allocate").Call(ctx, size)
	if err != nil {
		return err
	}
	if len(ptr) != 1 || !m.Memory().Write(uint32(ptr[0]), input) {
		return errors.New("the source does not fit into its memory")
	}
	_, err = m.ExportedFunction("run_e").Call(ctx, ptr[0], size, 0)
	return err
}
