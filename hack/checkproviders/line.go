// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

const user = "U0123456789abcdef0123456789abcdef"

const picture = `https://shop.example/a.png`

const uri = `{"type":"uri","label":"見る","uri":"https://shop.example/"}`

// lineObjects are message objects of each kind.
var lineObjects = map[string]string{
	"text":     `{"type":"text","text":"お知らせ $","emojis":[{"index":5,"productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}]}`,
	"textV2":   `{"type":"textV2","text":"お知らせ {who}","substitution":{"who":{"type":"mention","mentionee":{"type":"all"}}}}`,
	"sticker":  `{"type":"sticker","packageId":"446","stickerId":"1988"}`,
	"image":    `{"type":"image","originalContentUrl":"` + picture + `","previewImageUrl":"` + picture + `"}`,
	"video":    `{"type":"video","originalContentUrl":"https://shop.example/a.mp4","previewImageUrl":"` + picture + `"}`,
	"audio":    `{"type":"audio","originalContentUrl":"https://shop.example/a.m4a","duration":6000}`,
	"location": `{"type":"location","title":"店","address":"東京都","latitude":35.6,"longitude":139.7}`,
	"imagemap": `{"type":"imagemap","baseUrl":"https://shop.example/map","altText":"地図","baseSize":{"width":1040,"height":520},
"actions":[{"type":"uri","linkUri":"https://shop.example/","area":{"x":0,"y":0,"width":520,"height":520}},
{"type":"message","text":"はい","area":{"x":520,"y":0,"width":520,"height":520}}]}`,
	"template buttons":        `{"type":"template","altText":"t","template":{"type":"buttons","text":"t","actions":[` + uri + `]}}`,
	"template confirm":        `{"type":"template","altText":"t","template":{"type":"confirm","text":"t","actions":[` + uri + `,{"type":"postback","label":"はい","data":"a=1"}]}}`,
	"template carousel":       `{"type":"template","altText":"t","template":{"type":"carousel","columns":[{"text":"t","actions":[` + uri + `]}]}}`,
	"template image_carousel": `{"type":"template","altText":"t","template":{"type":"image_carousel","columns":[{"imageUrl":"` + picture + `","action":` + uri + `}]}}`,
	"flex bubble": `{"type":"flex","altText":"t","contents":{"type":"bubble","hero":{"type":"image","url":"` + picture + `"},
"body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"t"},{"type":"button","action":` + uri + `}]}}}`,
	"flex carousel": `{"type":"flex","altText":"t","contents":{"type":"carousel","contents":[{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"t"}]}}]}}`,
	"coupon":        `{"type":"coupon","couponId":"01JYNW8JMQVFBNWF1APF8Z3FS7","deliveryTag":"tag"}`,
	"quick replies": `{"type":"text","text":"お茶は?","quickReply":{"items":[{"type":"action","action":{"type":"message","label":"緑茶","text":"緑茶"}},{"type":"action","action":` + uri + `}]}}`,
	"a sender":      `{"type":"text","text":"t","sender":{"name":"店","iconUrl":"` + picture + `"}}`,
}

func lineOperations() []operation {
	out := []operation{
		{name: "check: bot info, quota, consumption", do: func(ctx context.Context, endpoint string) error {
			s, err := lineSender(endpoint)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			_, err = s.Check(ctx)
			return err
		}},
		{name: "push, without a unit", do: pushed(channel.Line{Messages: objects("text")}, false)},
		{name: "push, with a unit and silently", do: pushed(channel.Line{Messages: objects("text"), Unit: "spring_2026", NotificationDisabled: true}, false)},
		{name: "push again under the same key: 409", do: pushed(channel.Line{Messages: objects("text")}, true)},
		{name: "push, five objects", do: pushed(channel.Line{Messages: objects("text", "image", "sticker", "flex bubble", "coupon")}, false)},
	}
	var kinds []string
	for kind := range lineObjects {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		out = append(out, operation{name: "push, " + kind, do: pushed(channel.Line{Messages: objects(kind)}, false)})
	}
	return append(out,
		operation{name: "push, with null for units", wrong: true, do: func(ctx context.Context, endpoint string) error {
			_, err := lineSDK(ctx, endpoint).PushMessage(&messaging_api.PushMessageRequest{To: user, Messages: []messaging_api.MessageInterface{
				messaging_api.TextMessage{Text: "t"}}}, uuid.NewString())
			return err
		}},
		operation{name: "validate push", do: func(ctx context.Context, endpoint string) error {
			_, err := lineSDK(ctx, endpoint).ValidatePush(&messaging_api.ValidateMessageRequest{Messages: []messaging_api.MessageInterface{
				messaging_api.TextMessage{Text: "t"}}})
			return err
		}},
		operation{name: "validate push, refused: 400", do: func(ctx context.Context, endpoint string) error {
			_, err := lineSDK(ctx, endpoint).ValidatePush(&messaging_api.ValidateMessageRequest{Messages: []messaging_api.MessageInterface{
				messaging_api.TextMessage{Text: ""}}})
			if err == nil {
				return errors.New("an empty text was taken")
			}
			return nil
		}},
		operation{name: "profile", do: func(ctx context.Context, endpoint string) error {
			_, err := lineSDK(ctx, endpoint).GetProfile(user)
			return err
		}},
	)
}

func lineSender(endpoint string) (*line.Sender, error) {
	return line.New(line.Config{Endpoint: endpoint, ChannelAccessToken: sandbox.DefaultLINEToken})
}

func lineSDK(ctx context.Context, endpoint string) *messaging_api.MessagingApiAPI {
	api, err := messaging_api.NewMessagingApiAPI(sandbox.DefaultLINEToken, messaging_api.WithEndpoint(endpoint))
	if err != nil {
		panic(err) // only for an endpoint that is no URL
	}
	return api.WithContext(ctx)
}

func objects(kinds ...string) (out []json.RawMessage) {
	for _, kind := range kinds {
		out = append(out, json.RawMessage(lineObjects[kind]))
	}
	return out
}

// pushed pushes a message, twice where it is to find that LINE knows its key.
func pushed(content channel.Line, twice bool) func(context.Context, string) error {
	return func(ctx context.Context, endpoint string) error {
		s, err := lineSender(endpoint)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		m := &channel.Message{Key: uuid.New(), Customer: "c1", To: user, Line: &content}
		times := 1
		if twice {
			times = 2
		}
		for range times {
			if o := s.Send(ctx, m, begun); o.End != channel.Sent {
				return fmt.Errorf("it ended %s: %s %s", o.End, o.Reason, o.Detail)
			}
		}
		return nil
	}
}

func begun(context.Context) error { return nil }
