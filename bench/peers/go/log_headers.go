//go:build wasip1

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

type logHeadersConfig struct {
	When     *when    `json:"when"`
	Request  []string `json:"request"`
	Response []string `json:"response"`
	Level    string   `json:"level"`
}

// logHeaders writes one line for each message; of a secret it writes the length.
type logHeaders struct {
	when *when
	// Names of fields; `*` alone is all of them.
	request, response []string
	level             logLevel
	// The room of the last line, for the next.
	line []byte
}

var levels = map[string]logLevel{
	"trace": levelTrace, "debug": levelDebug, "": levelInfo, "info": levelInfo, "warn": levelWarn, "error": levelError,
}

const maxValueBytes = 256

func (c *logHeadersConfig) step() (step, error) {
	if len(c.Request)+len(c.Response) == 0 {
		return nil, errors.New("log_headers: no fields")
	}
	for _, names := range [][]string{c.Request, c.Response} {
		for _, name := range names {
			if name == "*" && len(names) == 1 {
				continue
			}
			if strings.Contains(name, "*") {
				return nil, errors.New("log_headers: `*` alone, or names")
			}
			if err := checkName(strings.TrimPrefix(name, ":")); err != nil {
				return nil, err
			}
		}
	}
	level, known := levels[c.Level]
	if !known {
		return nil, fmt.Errorf("log_headers: no level %q", c.Level)
	}
	return &logHeaders{when: c.When, request: c.Request, response: c.Response, level: level}, nil
}

// keep has the identifier of the request and what when looks at read.
func (l *logHeaders) keep(s *stream) {
	if len(l.response) > 0 && logs(l.level) && l.when.holds(s) {
		s.requestID()
	}
}

func (l *logHeaders) onRequest(s *stream) *reply {
	l.log(s, l.request, requestHeaders, " request")
	return nil
}

func (l *logHeaders) onResponse(s *stream) {
	l.log(s, l.response, responseHeaders, " response")
}

func (l *logHeaders) log(s *stream, names []string, m headerMap, what string) {
	if len(names) == 0 || !logs(l.level) || !l.when.holds(s) {
		return
	}
	id := s.requestID()
	if id == "" {
		id = "-"
	}
	line := append(appendEscaped(l.line[:0], id), what...)
	fields := headerPairs(m)
	if names[0] == "*" {
		for name, value := range fields.all() {
			line = appendField(line, name, value)
		}
	} else {
		for _, wanted := range names {
			for name, value := range fields.all() {
				if name == wanted {
					line = appendField(line, name, value)
				}
			}
		}
	}
	logLine(l.level, unsafe.String(unsafe.SliceData(line), len(line)))
	l.line = line
}

func appendField(line []byte, name, value string) []byte {
	line = append(appendEscaped(append(line, ' '), name), '=')
	if isSecret(name) {
		return append(strconv.AppendInt(append(line, '<'), int64(len(value)), 10), " bytes>"...)
	}
	query := -1
	if isURI(name) {
		query = strings.IndexAny(value, "?#")
	}
	if query < 0 {
		return append(appendEscaped(append(line, '"'), value), '"')
	}
	line = append(appendEscaped(append(line, '"'), value[:query]), `"?<`...)
	return append(strconv.AppendInt(line, int64(len(value)-query-1), 10), " bytes>"...)
}

func isSecret(name string) bool {
	switch name {
	case "authorization", "cookie", "proxy-authorization", "set-cookie":
		return true
	}
	return slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(name, part) })
}

var secretParts = []string{"api-key", "jwt", "password", "secret", "token"}

func isURI(name string) bool {
	switch name {
	case ":path", "location", "referer", "x-envoy-original-path":
		return true
	}
	return false
}

// appendEscaped writes printable ASCII as it is and the rest as escapes, so that no value begins a
// line of its own.
func appendEscaped(line []byte, text string) []byte {
	cut := text[:min(len(text), maxValueBytes)]
	for i := range len(cut) {
		switch c := cut[i]; {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
		case c >= ' ' && c <= '~':
			line = append(line, c)
		default:
			line = fmt.Appendf(line, `\x%02x`, c)
		}
	}
	if len(text) > len(cut) {
		line = fmt.Appendf(line, "...(%d bytes)", len(text))
	}
	return line
}
