// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func TestValidate(t *testing.T) {
	s, _ := start(t, sandbox.Config{})
	tests := map[string]struct{ message, want string }{
		"text":      {`{"type":"text","text":"a"}`, ""},
		"textV2":    {`{"type":"textV2","text":"a {b}","substitution":{"b":{"type":"emoji","productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}}}`, ""},
		"sticker":   {`{"type":"sticker","packageId":"446","stickerId":"1988"}`, ""},
		"image":     {`{"type":"image","originalContentUrl":"https://a.example/a.png","previewImageUrl":"https://a.example/b.png"}`, ""},
		"video":     {`{"type":"video","originalContentUrl":"https://a.example/a.mp4","previewImageUrl":"https://a.example/b.png"}`, ""},
		"audio":     {`{"type":"audio","originalContentUrl":"https://a.example/a.m4a","duration":60000}`, ""},
		"location":  {`{"type":"location","title":"店","address":"東京都","latitude":35.6,"longitude":139.7}`, ""},
		"imagemap":  {`{"type":"imagemap","baseUrl":"https://a.example/i","altText":"a","baseSize":{"width":1040,"height":1040},"actions":[]}`, ""},
		"template":  {`{"type":"template","altText":"a","template":{"type":"confirm","text":"?","actions":[{"type":"message","label":"y","text":"y"},{"type":"message","label":"n","text":"n"}]}}`, ""},
		"carousel":  {`{"type":"template","altText":"a","template":{"type":"carousel","columns":[{"text":"t","actions":[{"type":"uri","label":"l","uri":"https://a.example"}]}]}}`, ""},
		"flex":      {`{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"a"}]}}}`, ""},
		"quick":     {`{"type":"text","text":"a","quickReply":{"items":[{"type":"action","action":{"type":"message","label":"l","text":"t"}}]}}`, ""},
		"coupon":    {`{"type":"coupon","couponId":"01JYNW8JMQVFBNWF1APF8Z3FS7"}`, ""},
		"no text":   {`{"type":"text","text":""}`, "messages[0].text: May not be empty"},
		"bad flex":  {`{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"a","colour":"#fff"}]}}}`, "messages[0].contents.body.contents[0].colour: unknown field"},
		"bad type":  {`{"type":"fax"}`, "messages[0].type: Must be one of the following values: [text, textV2, sticker, image, video, audio, location, imagemap, template, flex, coupon]"},
		"long":      {`{"type":"template","altText":"a","template":{"type":"buttons","text":"t","actions":[{"type":"uri","label":"012345678901234567890","uri":"https://a.example"}]}}`, "messages[0].template.actions[0].label: Length must be between 0 and 20"},
		"http only": {`{"type":"image","originalContentUrl":"http://a.example/a.png","previewImageUrl":"https://a.example/b.png"}`, "messages[0].originalContentUrl: Must be a valid HTTPS URL"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := s.Validate(t.Context(), []json.RawMessage{json.RawMessage(tt.message)})
			var refused *Refusal
			switch {
			case tt.want == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &refused):
				t.Errorf("%v", err)
			case len(refused.Details) != 1 || refused.Details[0].Property+": "+refused.Details[0].Message != tt.want:
				t.Errorf("%+v, want %s", refused, tt.want)
			}
		})
	}
}

func TestValidateCannotBeAsked(t *testing.T) {
	for name, status := range map[string]int{"500": 500, "rate": 429, "401": 401} {
		t.Run(name, func(t *testing.T) {
			s := sender(t, channeltest.NewServer(t, answering(status, nil, `{"message":"no"}`)).URL)
			err := s.Validate(t.Context(), []json.RawMessage{json.RawMessage(`{"type":"text","text":"a"}`)})
			var e *channel.CheckError
			if !errors.As(err, &e) {
				t.Errorf("%v", err)
			}
		})
	}
}

// LINE names places in a Flex message from the message on.
func TestFlexPointers(t *testing.T) {
	s := sender(t, channeltest.NewServer(t, answering(400, nil,
		`{"message":"A message (messages[2]) in the request body is invalid","details":[{"message":"invalid property","property":"/body/contents/0/color"}]}`)).URL)
	err := s.Validate(t.Context(), []json.RawMessage{json.RawMessage(`{}`)})
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Details[0].Property != "messages[2].contents.body.contents[0].color" {
		t.Errorf("%v", err)
	}
}
