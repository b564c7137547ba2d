package rest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// KeysPath is where the administrator rotates the keys that sign tokens.
const KeysPath = AdminPath + "token-keys/rotate"

// rotateKeys answers POST KeysPath, with {"revoke":true} for a key that is known to others: then every token that was issued before
// is invalid at once.
func (s *server) rotateKeys(w http.ResponseWriter, hr *http.Request) {
	who, err := s.caller(hr)
	switch {
	case err == nil && !who.Admin():
		err = denied("Only the administrator can rotate the keys.")
	case err == nil:
		var b struct {
			Revoke bool `json:"revoke"`
		}
		if err = json.NewDecoder(hr.Body).Decode(&b); err != nil && !errors.Is(err, io.EOF) {
			err = invalidf("The request is not the JSON object that it should be.")
			break
		}
		var kid string
		if kid, err = s.Tokens.Rotate(b.Revoke); err == nil {
			s.Logger.Info("token key rotated", "kid", kid, "revoked", b.Revoke)
			reply(w, http.StatusOK, map[string]any{"kid": kid, "revoked": b.Revoke})
			return
		}
		s.Logger.Error("token key not rotated", "err", err)
	}
	msg := "The server's log says what happened."
	status := http.StatusInternalServerError
	if f, ok := errors.AsType[*failure](err); ok {
		status, msg = f.status, f.msg
	}
	reply(w, status, map[string]string{"error": msg})
}
