// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

func (s *Server) info(w http.ResponseWriter, r *request) {
	sum := sha256.Sum256([]byte(r.channel.Token))
	answer(w, http.StatusOK, map[string]string{
		"userId":         "U" + hex.EncodeToString(sum[:16]),
		"basicId":        r.channel.BasicID,
		"displayName":    r.channel.DisplayName,
		"chatMode":       "bot",
		"markAsReadMode": "auto",
	})
}

func (s *Server) quota(w http.ResponseWriter, r *request) {
	if r.channel.MonthlyLimit > 0 {
		answer(w, http.StatusOK, map[string]any{"type": "limited", "value": r.channel.MonthlyLimit})
		return
	}
	answer(w, http.StatusOK, map[string]any{"type": "none"})
}

func (s *Server) consumption(w http.ResponseWriter, r *request) {
	answer(w, http.StatusOK, map[string]int{"totalUsage": r.channel.ledger.usedIn(month(s.log.Now()))})
}

// profile answers 404 for a user who is unknown and for one who has blocked the
// account alike: LINE does not tell which it is.
func (s *Server) profile(w http.ResponseWriter, r *request) {
	who := s.people.Get(record.LINE, r.to)
	if !userID.MatchString(r.to) || who.State != people.Reachable {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	if who.Name == "" {
		who.Name = "LINE " + r.to[1:7]
	}
	answer(w, http.StatusOK, map[string]string{"userId": r.to, "displayName": who.Name, "language": "ja"})
}
