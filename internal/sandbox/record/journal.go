// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// entry is one line of the journal; exactly one field is set.
type entry struct {
	Message *Message `json:"message,omitempty"`
	Status  *Status  `json:"status,omitempty"`
}

// journal appends without fsync: it is there for a sandbox that is restarted,
// not for a machine that loses power.
type journal struct {
	file *os.File
	buf  bytes.Buffer
	enc  *json.Encoder
}

func openJournal(path string, replay func(entry)) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the sandbox journal: %w", err)
	}
	end, err := readJournal(f, replay)
	if err == nil {
		// A line cut short by a kill was never answered; what follows must not be glued to it.
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the sandbox journal %s: %w", path, err), f.Close())
	}
	j := &journal{file: f}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	return j, nil
}

func readJournal(r io.Reader, replay func(entry)) (end int64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return end, fmt.Errorf("line %d: %w; move the file away to start afresh", n, err)
		}
		replay(e)
		end += int64(len(line))
	}
}

func (j *journal) write(e entry) error {
	j.buf.Reset()
	if err := j.enc.Encode(e); err != nil {
		return err
	}
	_, err := j.file.Write(j.buf.Bytes())
	return err
}

func (j *journal) truncate() error {
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("emptying the sandbox journal: %w", err)
	}
	_, err := j.file.Seek(0, io.SeekStart)
	return err
}

func (j *journal) close() error { return j.file.Close() }
