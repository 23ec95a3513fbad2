// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

const pictureWidth, pictureHeight = 800, 600

// paint is a shape and its colour. inside is the distance to the shape's edge in pixels, negative
// inside of it, so that edges come out smooth.
type paint struct {
	inside func(x, y float64) float64
	colour func(x, y float64) color.NRGBA
	// soft is how wide the edge is: 1 for a thing, more for a shadow.
	soft float64
}

// picture draws a product: its category gives the form, its number the colour.
func picture(p product) []byte {
	hue := math.Mod(float64(p.number)*47, 360)
	paper, glow := hsl(hue, 0.30, 0.93), hsl(hue+25, 0.38, 0.84)
	main, dark, light := hsl(hue, 0.42, 0.50), hsl(hue, 0.45, 0.34), hsl(hue, 0.30, 0.97)
	layers := append([]paint{
		{func(_, _ float64) float64 { return -1 }, func(x, y float64) color.NRGBA {
			return mix(glow, paper, math.Min(1, math.Hypot(x-400, y-260)/460))
		}, 1},
		{func(_, y float64) float64 { return 440 - y }, flat(hsl(hue, 0.25, 0.80)), 1},
		{ellipse(400, 480, 190, 24), flat(color.NRGBA{40, 40, 50, 70}), 40},
	}, forms[(p.number-1)/10%len(forms)](main, dark, light)...)

	img := image.NewNRGBA(image.Rect(0, 0, pictureWidth, pictureHeight))
	for y := range pictureHeight {
		for x := range pictureWidth {
			fx, fy := float64(x)+0.5, float64(y)+0.5
			var at color.NRGBA
			for i := range layers {
				l := &layers[i]
				cover := math.Max(0, math.Min(1, 0.5-l.inside(fx, fy)/l.soft))
				if cover == 0 {
					continue
				}
				c := l.colour(fx, fy)
				at = mix(at, c, cover*float64(c.A)/255)
			}
			at.A = 255
			img.SetNRGBA(x, y, at)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// forms are what the products of each category look like.
var forms = []func(main, dark, light color.NRGBA) []paint{
	func(main, dark, light color.NRGBA) []paint { // a bottle
		return []paint{
			{box(400, 150, 38, 34, 8), round(dark, 362, 438), 1}, {box(400, 195, 28, 20, 4), round(main, 372, 428), 1},
			{box(400, 340, 105, 140, 34), round(main, 295, 505), 1}, {box(400, 350, 72, 62, 6), flat(light), 1}, {box(400, 332, 40, 4, 2), flat(dark), 1},
			{box(400, 354, 26, 3, 2), flat(main), 1}, {box(400, 370, 26, 3, 2), flat(main), 1},
		}
	},
	func(main, dark, light color.NRGBA) []paint { // a pump
		return []paint{
			{box(360, 108, 70, 11, 9), flat(dark), 1}, {box(412, 140, 12, 40, 3), round(dark, 400, 424), 1}, {box(400, 196, 48, 22, 6), round(dark, 352, 448), 1},
			{box(400, 345, 110, 132, 20), round(main, 290, 510), 1}, {ellipse(400, 345, 62, 62), flat(light), 1}, {ellipse(400, 345, 26, 36), flat(main), 1},
		}
	},
	func(main, dark, light color.NRGBA) []paint { // a tin and a cup
		return []paint{
			{box(345, 320, 100, 156, 10), round(main, 245, 445), 1}, {box(345, 184, 104, 34, 8), round(dark, 241, 449), 1}, {box(345, 340, 62, 74, 4), flat(light), 1},
			{ellipse(345, 326, 20, 36), flat(main), 1}, {box(345, 386, 34, 3, 2), flat(dark), 1},
			{box(530, 420, 66, 56, 26), round(light, 464, 596), 1}, {ellipse(530, 372, 60, 13), flat(dark), 1},
		}
	},
	func(main, dark, light color.NRGBA) []paint { // a pouch
		return []paint{
			{box(400, 320, 140, 158, 24), round(main, 260, 540), 1}, {box(400, 178, 140, 20, 6), round(dark, 260, 540), 1}, {box(400, 340, 88, 84, 44), flat(light), 1},
			{ellipse(370, 345, 26, 12), flat(main), 1}, {ellipse(430, 330, 26, 12), flat(main), 1}, {ellipse(404, 372, 26, 12), flat(dark), 1},
		}
	},
	func(main, dark, light color.NRGBA) []paint { // a jar
		return []paint{
			{box(400, 360, 140, 116, 44), round(main, 260, 540), 1}, {box(400, 226, 118, 32, 10), round(dark, 282, 518), 1}, {box(400, 370, 92, 52, 8), flat(light), 1},
			{box(400, 358, 46, 5, 2), flat(dark), 1}, {box(400, 382, 30, 3, 2), flat(main), 1},
		}
	},
	func(main, dark, light color.NRGBA) []paint { // a box with a ribbon
		return []paint{
			{box(400, 345, 160, 130, 8), round(light, 240, 560), 1}, {box(400, 345, 24, 130, 0), round(main, 376, 424), 1}, {box(400, 236, 172, 34, 6), round(light, 228, 572), 1},
			{box(400, 236, 24, 34, 0), flat(main), 1}, {box(400, 272, 172, 2, 0), flat(mix(light, dark, 0.3)), 1},
			{ellipse(356, 186, 44, 20), flat(dark), 1}, {ellipse(444, 186, 44, 20), flat(dark), 1}, {ellipse(400, 194, 18, 16), flat(main), 1},
		}
	},
}

func box(cx, cy, w, h, r float64) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		dx, dy := math.Abs(x-cx)-w+r, math.Abs(y-cy)-h+r
		return math.Hypot(math.Max(dx, 0), math.Max(dy, 0)) + math.Min(math.Max(dx, dy), 0) - r
	}
}

func ellipse(cx, cy, rx, ry float64) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		return (math.Hypot((x-cx)/rx, (y-cy)/ry) - 1) * math.Min(rx, ry)
	}
}

func flat(c color.NRGBA) func(x, y float64) color.NRGBA {
	return func(_, _ float64) color.NRGBA { return c }
}

// round shades a colour as if it went around a thing that reaches from left to right.
func round(c color.NRGBA, left, right float64) func(x, y float64) color.NRGBA {
	white, black := color.NRGBA{255, 255, 255, 255}, color.NRGBA{20, 20, 30, 255}
	return func(x, _ float64) color.NRGBA {
		t := (x - left) / (right - left)
		shine := math.Exp(-math.Pow((t-0.26)*7, 2)) * 0.35
		return mix(mix(c, black, math.Max(0, t-0.45)*0.45), white, shine)
	}
}

func mix(a, b color.NRGBA, t float64) color.NRGBA {
	part := func(x, y uint8) uint8 { return uint8(float64(x) + (float64(y)-float64(x))*t) }
	return color.NRGBA{part(a.R, b.R), part(a.G, b.G), part(a.B, b.B), 255}
}

func hsl(h, s, l float64) color.NRGBA {
	channel := func(n float64) uint8 {
		k := math.Mod(n+h/30, 12)
		return uint8(math.Round(255 * (l - s*math.Min(l, 1-l)*math.Max(-1, math.Min(math.Min(k-3, 9-k), 1)))))
	}
	return color.NRGBA{channel(0), channel(8), channel(4), 255}
}
