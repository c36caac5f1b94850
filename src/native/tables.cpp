#include "tables.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace teleglyph {
namespace {

struct Rgb {
    unsigned red, green, blue;
};

struct Oklab {
    double lightness, a, b;
};

double linear_light(unsigned channel) {
    const double value = channel / 255.0;
    return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

// Björn Ottosson's OKLab of linear light, in which Euclidean distance is close to perceived difference.
Oklab to_oklab(double r, double g, double b) {
    const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

Oklab to_oklab(Rgb color) {
    return to_oklab(linear_light(color.red), linear_light(color.green), linear_light(color.blue));
}

// All colours of five bits a channel, by the key of IndexedColors::nearest. A channel value of 0 stands for 0 and one
// of 31 for 255.
std::vector<Oklab> five_bit_colors() {
    std::array<double, 32> light{};
    for (unsigned value = 0; value < 32; ++value) light[value] = linear_light(value << 3 | value >> 2);
    std::vector<Oklab> colors(32768);
    for (unsigned key = 0; key < 32768; ++key)
        colors[key] = to_oklab(light[key >> 10], light[key >> 5 & 31], light[key & 31]);
    return colors;
}

std::size_t nearest_of(const std::vector<Oklab>& palette, const Oklab& color) {
    double best = std::numeric_limits<double>::infinity();
    std::size_t answer = 0;
    for (std::size_t i = 0; i < palette.size(); ++i) {
        const double dl = palette[i].lightness - color.lightness;
        const double da = palette[i].a - color.a;
        const double db = palette[i].b - color.b;
        const double distance = dl * dl + da * da + db * db;
        if (distance < best) {
            best = distance;
            answer = i;
        }
    }
    return answer;
}

void fill_nearest(IndexedColors& colors, const std::vector<Oklab>& keys, const std::vector<Rgb>& palette,
                  std::size_t first_index) {
    std::vector<Oklab> points;
    points.reserve(palette.size());
    for (const Rgb& color : palette) points.push_back(to_oklab(color));
    for (std::size_t key = 0; key < keys.size(); ++key)
        colors.nearest[key] = static_cast<std::uint8_t>(first_index + nearest_of(points, keys[key]));
}

Text make_text(std::string_view text) {
    Text result{};
    text.copy(result.bytes, sizeof result.bytes);
    result.length = static_cast<std::uint8_t>(text.size());
    return result;
}

void set_sequences(IndexedColors& colors, std::size_t index, const std::string& foreground,
                   const std::string& background) {
    colors.foreground[index] = make_text(foreground + "m");
    colors.foreground_open[index] = make_text(foreground + ";");
    colors.background[index] = make_text(background + "m");
}

void fill_256(IndexedColors& colors, const std::vector<Oklab>& keys) {
    std::vector<Rgb> palette;
    constexpr unsigned levels[6] = {0, 95, 135, 175, 215, 255};
    for (unsigned red : levels)
        for (unsigned green : levels)
            for (unsigned blue : levels) palette.push_back({red, green, blue});
    for (unsigned i = 0; i < 24; ++i) palette.push_back({8 + 10 * i, 8 + 10 * i, 8 + 10 * i});
    fill_nearest(colors, keys, palette, 16);
    for (std::size_t i = 0; i < 256; ++i)
        set_sequences(colors, i, "38;5;" + std::to_string(i), "48;5;" + std::to_string(i));
    colors.background[kNoColor] = make_text("49m");
}

void fill_16(IndexedColors& colors, const std::vector<Oklab>& keys) {
    const std::vector<Rgb> palette = {{0, 0, 0},       {205, 0, 0},   {0, 205, 0},   {205, 205, 0},
                                      {0, 0, 238},     {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
                                      {127, 127, 127}, {255, 0, 0},   {0, 255, 0},   {255, 255, 0},
                                      {92, 92, 255},   {255, 0, 255}, {0, 255, 255}, {255, 255, 255}};
    fill_nearest(colors, keys, palette, 0);
    for (std::size_t i = 0; i < 16; ++i) {
        const std::size_t foreground = i < 8 ? 30 + i : 90 + i - 8;
        set_sequences(colors, i, std::to_string(foreground), std::to_string(foreground + 10));
    }
    colors.background[kNoColor] = make_text("49m");
}

struct Palettes {
    IndexedColors ansi16{};
    IndexedColors ansi256{};
};

std::unique_ptr<const Palettes> make_palettes() {
    auto palettes = std::make_unique<Palettes>();
    const std::vector<Oklab> keys = five_bit_colors();
    fill_16(palettes->ansi16, keys);
    fill_256(palettes->ansi256, keys);
    return palettes;
}

// Made by the first call, which is safe from any thread.
const Palettes& palettes() {
    static const std::unique_ptr<const Palettes> made = make_palettes();
    return *made;
}

}  // namespace

const IndexedColors& colors_256() { return palettes().ansi256; }

const IndexedColors& colors_16() { return palettes().ansi16; }

}  // namespace teleglyph
