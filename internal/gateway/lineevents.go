// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The events that what users do in LINE becomes.
const (
	EventLINEFollowed   = "LINE Followed"
	EventLINEUnfollowed = "LINE Unfollowed"
	EventLINEMessage    = "LINE Message Received"
	EventLINEPostback   = "LINE Postback Received"
	EventLINELinked     = "LINE Account Linked"
	EventLINEUnsent     = "LINE Message Unsent"
)

// Properties by which events are found again.
const (
	propertyEventID   = "line_event_id"
	propertyMessageID = "message_id"
)

// maxLineText bounds a text of a user's; LINE's own limit is 5,000 characters.
const maxLineText = 5000

// maxLineUser is more than any user id of LINE's has.
const maxLineUser = 64

// lineEvent is what one event of a webhook says, as far as it is about a user.
type lineEvent struct {
	// id is the event's among all events of customers.
	id, user           string
	at                 int64 // LINE's clock, milliseconds
	follows, unfollows bool
	// name and properties are of the fact that it becomes; no name is none.
	name       string
	properties map[string]any
	// replyToken answers it; message is the user's message that it is, and unsent one that was taken back.
	replyToken, message, unsent string
	// nonce is of a customer who linked the account.
	nonce string
}

// parseLINE reads the events of a webhook that are about a user. webhook.ParseRequest would refuse all of its
// events for one of a shape that this version of the SDK does not know.
func parseLINE(body []byte) ([]lineEvent, error) {
	var envelope struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errors.New("parse a webhook of LINE's") // the cause would quote what customers wrote
	}
	var out []lineEvent
	for _, raw := range envelope.Events {
		event, err := webhook.UnmarshalEvent(raw)
		if err != nil {
			continue
		}
		if e, ok := readLINE(event); ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// readLINE tells what an event is about. It is not ok for what happens in groups, and for kinds that say
// nothing of a user.
func readLINE(event webhook.EventInterface) (e lineEvent, ok bool) {
	var source webhook.SourceInterface
	var id string
	switch v := event.(type) {
	case webhook.FollowEvent:
		id, e.at, source, e.replyToken = v.WebhookEventId, v.Timestamp, v.Source, v.ReplyToken
		e.follows, e.name, e.properties = true, EventLINEFollowed, map[string]any{}
		if v.Follow != nil {
			e.properties["unblocked"] = v.Follow.IsUnblocked
		}
	case webhook.UnfollowEvent:
		id, e.at, source = v.WebhookEventId, v.Timestamp, v.Source
		e.unfollows, e.name, e.properties = true, EventLINEUnfollowed, map[string]any{}
	case webhook.MessageEvent:
		id, e.at, source, e.replyToken = v.WebhookEventId, v.Timestamp, v.Source, v.ReplyToken
		e.name, e.properties = EventLINEMessage, messageProperties(v.Message)
		e.message, _ = e.properties[propertyMessageID].(string)
	case webhook.PostbackEvent:
		id, e.at, source, e.replyToken = v.WebhookEventId, v.Timestamp, v.Source, v.ReplyToken
		e.name, e.properties = EventLINEPostback, postbackProperties(v.Postback)
	case webhook.UnsendEvent:
		id, e.at, source = v.WebhookEventId, v.Timestamp, v.Source
		if v.Unsend == nil || v.Unsend.MessageId == "" {
			return e, false
		}
		e.unsent = plain(v.Unsend.MessageId)
		e.name, e.properties = EventLINEUnsent, map[string]any{propertyMessageID: e.unsent}
	case webhook.AccountLinkEvent:
		id, e.at, source, e.replyToken = v.WebhookEventId, v.Timestamp, v.Source, v.ReplyToken
		if v.Link == nil || v.Link.Result != webhook.LinkContentRESULT_OK {
			return e, false // the user gave up, or the nonce was not ours
		}
		e.nonce, e.name, e.properties = v.Link.Nonce, EventLINELinked, map[string]any{}
	default:
		return e, false
	}
	user, private := source.(webhook.UserSource)
	if !private || len(user.UserId) > maxLineUser {
		return e, false
	}
	var err error
	if e.user, err = store.NormalizeAddress(store.ChannelLINE, user.UserId); err != nil {
		return e, false
	}
	e.id = "line:" + plain(id)
	if len(id) > maxLineUser || len(e.replyToken) > 255 {
		return e, false // nothing that LINE sends
	}
	e.properties[propertyEventID] = e.id
	return e, true
}

// messageProperties is what a message says. What it shows is not fetched.
func messageProperties(content webhook.MessageContentInterface) map[string]any {
	p := map[string]any{}
	text := func(name, value string) {
		if value = plain(value); value != "" {
			p[name] = value
		}
	}
	if content != nil {
		text("type", content.GetType())
	}
	switch m := content.(type) {
	case webhook.TextMessageContent:
		text(propertyMessageID, m.Id)
		text("text", m.Text)
		text("quoted_message_id", m.QuotedMessageId)
	case webhook.StickerMessageContent:
		text(propertyMessageID, m.Id)
		text("package_id", m.PackageId)
		text("sticker_id", m.StickerId)
		text("text", m.Text)
	case webhook.LocationMessageContent:
		text(propertyMessageID, m.Id)
		text("title", m.Title)
		text("address", m.Address)
		p["latitude"], p["longitude"] = m.Latitude, m.Longitude
	case webhook.FileMessageContent:
		text(propertyMessageID, m.Id)
		text("file_name", m.FileName)
		p["file_size"] = m.FileSize
	case webhook.ImageMessageContent:
		text(propertyMessageID, m.Id)
	case webhook.VideoMessageContent:
		text(propertyMessageID, m.Id)
	case webhook.AudioMessageContent:
		text(propertyMessageID, m.Id)
	}
	return p
}

// postbackProperties are the data as they were written, and the members of data that are a query, such as
// question=tea&answer=green.
func postbackProperties(content *webhook.PostbackContent) map[string]any {
	p := map[string]any{}
	if content == nil {
		return p
	}
	if values, err := url.ParseQuery(content.Data); err == nil && strings.Contains(content.Data, "=") {
		for name, v := range values {
			if name = plain(name); name != "" && len(name) <= maxLineUser && !strings.ContainsAny(name, `"\`) {
				p[name] = plain(v[0])
			}
		}
	}
	for name, v := range content.Params {
		switch name {
		case "date", "time", "datetime", "newRichMenuAliasId", "status":
			p[name] = plain(v)
		}
	}
	p["data"] = plain(content.Data)
	return p
}

// plain is a text of a stranger's as a store can hold it.
func plain(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if r := []rune(s); len(s) > maxLineText && len(r) > maxLineText {
		s = string(r[:maxLineText])
	}
	return s
}
