#include "tables.hpp"

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

// Björn Ottosson's OKLab, in which Euclidean distance is close to perceived difference.
Oklab to_oklab(Rgb color) {
    const double r = linear_light(color.red), g = linear_light(color.green), b = linear_light(color.blue);
    const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

// The colour that a five-bit channel value stands for: 0 is 0 and 31 is 255.
constexpr unsigned widen(unsigned five_bits) { return five_bits << 3 | five_bits >> 2; }

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

void fill_nearest(IndexedColors& colors, const std::vector<Rgb>& palette, unsigned first_index) {
    std::vector<Oklab> points;
    points.reserve(palette.size());
    for (const Rgb& color : palette) points.push_back(to_oklab(color));
    for (unsigned key = 0; key < 32768; ++key) {
        const Rgb color{widen(key >> 10), widen(key >> 5 & 31), widen(key & 31)};
        colors.nearest[key] = static_cast<std::uint8_t>(first_index + nearest_of(points, to_oklab(color)));
    }
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

std::unique_ptr<const IndexedColors> make_256() {
    auto colors = std::make_unique<IndexedColors>();
    std::vector<Rgb> palette;
    constexpr unsigned levels[6] = {0, 95, 135, 175, 215, 255};
    for (unsigned red : levels)
        for (unsigned green : levels)
            for (unsigned blue : levels) palette.push_back({red, green, blue});
    for (unsigned i = 0; i < 24; ++i) palette.push_back({8 + 10 * i, 8 + 10 * i, 8 + 10 * i});
    fill_nearest(*colors, palette, 16);
    for (std::size_t i = 0; i < 256; ++i)
        set_sequences(*colors, i, "38;5;" + std::to_string(i), "48;5;" + std::to_string(i));
    colors->background[kNoColor] = make_text("49m");
    return colors;
}

std::unique_ptr<const IndexedColors> make_16() {
    auto colors = std::make_unique<IndexedColors>();
    std::vector<Rgb> palette;
    for (unsigned i = 0; i < 16; ++i) {
        const unsigned on = i < 8 ? 128 : 255;
        palette.push_back({(i & 1) != 0 ? on : 0, (i & 2) != 0 ? on : 0, (i & 4) != 0 ? on : 0});
    }
    palette[7] = {192, 192, 192};
    palette[8] = {128, 128, 128};
    fill_nearest(*colors, palette, 0);
    for (std::size_t i = 0; i < 16; ++i) {
        const std::size_t foreground = i < 8 ? 30 + i : 90 + i - 8;
        set_sequences(*colors, i, std::to_string(foreground), std::to_string(foreground + 10));
    }
    colors->background[kNoColor] = make_text("49m");
    return colors;
}

}  // namespace

const IndexedColors& colors_256() {
    static const std::unique_ptr<const IndexedColors> colors = make_256();
    return *colors;
}

const IndexedColors& colors_16() {
    static const std::unique_ptr<const IndexedColors> colors = make_16();
    return *colors;
}

}  // namespace teleglyph
