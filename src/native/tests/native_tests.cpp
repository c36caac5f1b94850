// Runs the core on random and extreme sizes, in heap buffers of exactly the size it may touch, against plain loops.
// Meant to be built with -fsanitize=address,undefined, which turn every access outside them into an error.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "area.hpp"
#include "canvas.hpp"
#include "emit.hpp"
#include "grid.hpp"
#include "paint.hpp"
#include "partition.hpp"
#include "simd.hpp"
#include "style.hpp"
#include "text.hpp"
#include "update.hpp"

namespace {

using namespace teleglyph;

std::mt19937 generator(20261120);

std::uint32_t random_in(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(generator);
}

void expect(bool condition, const std::string& what) {
    if (condition) return;
    std::fprintf(stderr, "failed: %s\n", what.c_str());
    std::exit(1);
}

// Fills pictures. Extremes make sums as large as they can be.
enum class Content { noise, white, extremes };

std::unique_ptr<std::uint8_t[]> make_pixels(std::size_t bytes, Content content) {
    auto pixels = std::make_unique<std::uint8_t[]>(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
        const auto noise = static_cast<std::uint8_t>(generator());
        pixels[i] = content == Content::white ? 255 : content == Content::noise ? noise : noise < 128 ? 0 : 255;
    }
    return pixels;
}

Cell plain_mean(const Picture& source, Span columns, Span rows) {
    std::uint64_t sums[3] = {};
    for (std::uint32_t y = rows.begin; y < rows.begin + rows.count; ++y)
        for (std::uint32_t x = columns.begin; x < columns.begin + columns.count; ++x)
            for (std::size_t channel = 0; channel < 3; ++channel)
                sums[channel] += source.pixels[(static_cast<std::size_t>(y) * source.width + x) * 3 + channel];
    const std::uint64_t area = static_cast<std::uint64_t>(columns.count) * rows.count;
    Cell cell = kOpaque;
    for (std::size_t channel = 0; channel < 3; ++channel)
        cell |= static_cast<Cell>((2 * sums[channel] + area) / (2 * area)) << (8 * channel);
    return cell;
}

void check_scale(std::uint32_t source_width, std::uint32_t source_height, std::uint32_t width, std::uint32_t height,
                 Content content) {
    const auto pixels = make_pixels(3 * static_cast<std::size_t>(source_width) * source_height, content);
    const Picture source{pixels.get(), source_width, source_height};
    const std::size_t stride = width;
    const auto target = std::make_unique<Cell[]>(stride * height);
    AreaScaler scaler;
    scaler.scale(source, target.get(), stride, width, height);
    const std::string sizes = std::to_string(source_width) + "x" + std::to_string(source_height) + " to " +
                              std::to_string(width) + "x" + std::to_string(height);
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            expect(target[y * stride + x] ==
                       plain_mean(source, covered(x, source_width, width), covered(y, source_height, height)),
                   sizes);
}

void check_scaling() {
    const std::uint32_t extreme[][4] = {
        {1, 1, 1, 1},       {1, 1, 64, 64},      {1, 300, 7, 5},      {300, 1, 5, 7},   {8192, 1, 4096, 1},
        {1, 8192, 1, 4096}, {8192, 3, 1, 1},     {3, 8192, 1, 1},     {2, 514, 1, 2},   {2, 516, 1, 2},
        {8192, 300, 2, 1},  {640, 360, 160, 96}, {641, 359, 159, 47}, {10, 10, 11, 11}, {11, 257, 10, 1},
        {89, 89, 1, 1},     {90, 90, 1, 1},      {31, 257, 1, 1},     {32, 257, 1, 1},  {33, 9, 32, 3},
        {3, 128, 2, 1},     {3, 130, 2, 1},      {5, 85, 2, 1},       {4, 2056, 2, 8},
    };
    for (const auto& [source_width, source_height, width, height] : extreme)
        for (const Content content : {Content::noise, Content::white, Content::extremes})
            check_scale(source_width, source_height, width, height, content);
    for (int round = 0; round < 400; ++round)
        check_scale(random_in(1, 90), random_in(1, 90), random_in(1, 120), random_in(1, 60),
                    static_cast<Content>(round % 3));
}

// Every sum for small boxes, and the sums next to a rounding step for large ones.
void check_means() {
    for (std::uint32_t area = 1; area <= area::kMaxExactArea; area += area < 300 ? 1 : 97) {
        const float bias = 0.5F * static_cast<float>(area) + 0.25F;
        const float reciprocal = 1.0F / static_cast<float>(area);
        const auto check = [&](std::uint32_t sum) {
            const auto mean = static_cast<std::uint32_t>((static_cast<float>(sum) + bias) * reciprocal);
            expect(mean == (2 * sum + area) / (2 * area),
                   "mean of " + std::to_string(sum) + " over " + std::to_string(area));
        };
        for (std::uint32_t step = 0; step <= 255; ++step)
            for (std::uint32_t near = 0; near <= 2; ++near) {
                const std::uint32_t sum = step * area + area / 2 + near;
                if (sum >= 1 && sum - 1 <= 255 * area) check(sum - 1);
            }
        if (area < 40)
            for (std::uint32_t sum = 0; sum <= 255 * area; ++sum) check(sum);
    }
}

std::vector<Style> all_styles() {
    const std::vector<std::vector<std::string>> palettes = {
        {" ", ".", "#"}, {"\xe2\x96\x91", "\xe2\x96\x88"}, {"a"}, {" ", "\xf0\x9d\x84\x9e"}};
    constexpr ColorLevel colors[] = {ColorLevel::none, ColorLevel::ansi16, ColorLevel::ansi256, ColorLevel::truecolor};
    std::vector<Style> styles;
    for (const auto& palette : palettes)
        for (const ColorLevel color : colors)
            for (unsigned mode = 0; mode < kRenderModes; ++mode)
                for (const bool dithered : {false, true})
                    if (color != ColorLevel::none || static_cast<RenderMode>(mode) != RenderMode::background)
                        styles.emplace_back(color, static_cast<RenderMode>(mode), palette, dithered);
    return styles;
}

std::string render(Canvas& canvas, std::span<const Draw> draws, const Style& style) {
    const std::size_t bound = frame_bound(style, canvas.columns(), canvas.rows());
    const auto text = std::make_unique<char[]>(bound);
    const std::size_t length = canvas.render(draws, style, text.get());
    expect(length <= bound, "a frame is longer than its bound");
    return {text.get(), length};
}

// Colours with the longest texts that all differ: the worst case for the length of a frame.
std::unique_ptr<std::uint8_t[]> make_widest_pixels(std::size_t pixels) {
    auto bytes = std::make_unique<std::uint8_t[]>(3 * pixels);
    for (std::size_t i = 0; i < 3 * pixels; ++i)
        bytes[i] = static_cast<std::uint8_t>(100 + (i * 37 + i / 3 * 11) % 156);
    return bytes;
}

void check_frame(const Style& style, std::uint32_t columns, std::uint32_t rows) {
    Canvas canvas(columns, rows, style.subcolumns(), style.subrows());
    expect(!render(canvas, {}, style).empty(), "an empty canvas has no text");
    const std::uint32_t lines = rows * style.subrows();
    const auto widest = make_widest_pixels(static_cast<std::size_t>(columns) * lines);
    const Draw full{{widest.get(), columns, lines}, 0, 0, columns, rows};
    render(canvas, {&full, 1}, style);
    canvas.clear();
    const std::uint32_t width = random_in(1, columns), height = random_in(1, rows);
    const auto noise = make_pixels(3 * 20 * 10, Content::noise);
    const Draw part{{noise.get(), 20, 10}, random_in(0, columns - width), random_in(0, rows - height), width, height};
    canvas.check(part);
    render(canvas, {&part, 1}, style);
}

void check_frames() {
    for (const Style& style : all_styles()) {
        if (!style.is_basic()) continue;
        check_frame(style, 1, 1);
        check_frame(style, 4096, 1);
        check_frame(style, 1, 4096);
        for (int round = 0; round < 20; ++round) check_frame(style, random_in(1, 70), random_in(1, 30));
    }
}

// A grid as an update's receiver should have it.
CharacterGrid on_terminal(const CharacterGrid& grid, const Style& style) {
    CharacterGrid copy(grid);
    convert_to_terminal(copy, style);
    return copy;
}

bool equal(const CharacterGrid& one, const CharacterGrid& other) {
    return std::equal(one.data(), one.data() + one.size(), other.data());
}

// Whether each wide glyph is followed by its other half, and each half follows a wide glyph.
bool has_whole_glyphs(const CharacterGrid& grid) {
    for (std::size_t i = 0; i < grid.size(); ++i) {
        const bool ends_row = (i + 1) % grid.columns() == 0;
        const bool is_wide = grid.data()[i].look == kWideLook;
        const bool has_half = !ends_row && grid.data()[i + 1].glyph == kContinuation;
        if (is_wide != has_half || (i % grid.columns() == 0 && grid.data()[i].glyph == kContinuation)) return false;
    }
    return true;
}

// Malformed input for a decoder.
void damage(std::vector<char>& update) {
    for (std::uint32_t change = random_in(1, 4); change > 0 && !update.empty(); --change)
        update[random_in(0, static_cast<std::uint32_t>(update.size()) - 1)] = static_cast<char>(generator());
    if (random_in(0, 2) == 0) update.resize(random_in(0, static_cast<std::uint32_t>(update.size())));
}

void check_damaged(const std::vector<char>& update, const CharacterGrid& grid) {
    std::vector<char> damaged(update);
    damage(damaged);
    // A buffer of exactly this size, so that reading behind it is noticed.
    const auto bytes = std::make_unique<char[]>(damaged.size());
    std::copy(damaged.begin(), damaged.end(), bytes.get());
    CharacterGrid copy(grid);
    try {
        std::string widths(update_glyphs({bytes.get(), damaged.size()}).size(), 0);
        for (char& width : widths) width = static_cast<char>(random_in(0, 2));
        apply_update({bytes.get(), damaged.size()}, random_in(0, 1) == 0, widths, copy);
        expect(has_whole_glyphs(copy), "half of a wide glyph is left");
    } catch (const std::invalid_argument&) {
        expect(equal(copy, grid), "a malformed update leaves its traces");
    }
}

void check_updates(const Style& style, std::uint32_t columns, std::uint32_t rows) {
    Canvas canvas(columns, rows, style.subcolumns(), style.subrows());
    CharacterGrid wanted(columns, rows), previous(columns, rows), shown(columns, rows), received(columns, rows),
        screen(columns, rows);
    UpdateEncoder encoder;
    TextBuffer text;
    std::vector<char> update;
    for (int frame = 0; frame < 6; ++frame) {
        const auto noise = make_pixels(3 * 20 * 10, frame % 3 == 0 ? Content::extremes : Content::noise);
        const std::uint32_t width = random_in(1, columns), height = random_in(1, rows);
        const Draw draw{
            {noise.get(), 20, 10}, random_in(0, columns - width), random_in(0, rows - height), width, height,
            frame % 2 == 0};
        previous = wanted;
        canvas.compose({&draw, 1}, style, wanted);
        wanted.put({random_in(0, columns - 1), random_in(0, rows - 1), kDefaultColor, kIndexed | 4, {0x4E16}});
        const bool whole = frame == 0 || random_in(0, 3) == 0;
        constexpr std::int32_t tolerances[] = {0, 30, 800};
        const UpdateOptions options{tolerances[random_in(0, 2)], whole, &previous, 0, rows / 2};
        const UpdateCounts counts = encoder.encode(wanted, shown, style, options, update);
        expect(update.size() <= update_bound(wanted.size()), "an update is longer than its bound");
        expect(counts.changed + counts.inexact <= wanted.size(), "more changes than characters");
        expect(options.tolerance > 0 || equal(on_terminal(shown, style), on_terminal(wanted, style)),
               "without tolerance something is left");
        check_damaged(update, received);
        const std::string widths(update_glyphs({update.data(), update.size()}).size(), 1);
        apply_update({update.data(), update.size()}, whole, widths, received);
        expect(equal(received, on_terminal(shown, style)), "an update does not arrive as it was meant");
        paint_changes(received, screen, text);
        expect(equal(received, screen), "not everything is painted");
        paint_changes(received, screen, text);
        expect(text.length == 0, "what is shown is painted again");
        paint_all(received, text);
    }
}

void check_all_updates() {
    for (const Style& style : all_styles()) {
        check_updates(style, 1, 1);
        check_updates(style, 300, 1);
        check_updates(style, 1, 300);
        for (int round = 0; round < 6; ++round) check_updates(style, random_in(1, 70), random_in(1, 30));
    }
}

// Frames of text from a server: valid pieces, sometimes damaged, in a buffer of exactly their size.
void check_frames_of_text() {
    const std::vector<std::string> pieces = {
        "x",          "\xe4\xb8\x96", "e\xcc\x81", "\n",      "\x1b[31m",          "\x1b[38;2;1;2;3;48;5;9m",
        "\x1b[m",     "\x1b[1;4;22m", "\x1b[b",    "\x1b[7b", "\x1b[99999999999b", "\xe2\x96\x80",
        "\x1b[38;5m", "\x1b[48;2;;;m"};
    const std::vector<std::uint32_t> glyphs = {0x301, 0x4E16};
    const std::vector<GlyphKind> kinds = {GlyphKind::mark, GlyphKind::wide};
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (std::uint32_t count = random_in(0, 40); count > 0; --count)
            text += pieces[random_in(0, static_cast<std::uint32_t>(pieces.size()) - 1)];
        std::vector<char> bytes(text.begin(), text.end());
        if (round % 3 == 0) damage(bytes);
        const auto exact = std::make_unique<char[]>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), exact.get());
        const std::string_view view(exact.get(), bytes.size());
        const std::uint32_t columns = random_in(1, 12), rows = random_in(1, 5);
        const TextScan scan = scan_text(view);
        try {
            const FittedText fitted = fit_text(view, glyphs, kinds, columns, rows);
            expect(scan.drawable == view.size(), "what may not be drawn is fitted");
            expect(fitted.rows >= 1 && fitted.rows <= rows, "a frame has more rows than wanted");
            expect(fitted.narrowest <= columns, "a row is wider than wanted");
            expect(scan_text(fitted.text).drawable == fitted.text.size(), "what was fitted may not be drawn");
            const FittedText again = fit_text(fitted.text + "\n", glyphs, kinds, columns, rows);
            expect(again.text == fitted.text, "what fits is changed");
        } catch (const std::invalid_argument&) {
            expect(scan.drawable < view.size(), "what may be drawn is not fitted");
        }
    }
}

Cell plain_average(const Cell* parts, unsigned count, unsigned mask) {
    std::uint32_t sums[3] = {}, members = 0;
    for (unsigned i = 0; i < count; ++i) {
        if ((mask >> i & 1) == 0) continue;
        ++members;
        for (unsigned channel = 0; channel < 3; ++channel) sums[channel] += parts[i] >> (8 * channel) & 0xFF;
    }
    Cell cell = kOpaque;
    for (unsigned channel = 0; channel < 3; ++channel)
        cell |= (2 * sums[channel] + members) / (2 * members) << (8 * channel);
    return cell;
}

double plain_error(const Cell* parts, unsigned count, unsigned mask) {
    double error = 0.0;
    for (const unsigned group : {mask, ~mask & ((1U << count) - 1)}) {
        for (unsigned channel = 0; channel < 3; ++channel) {
            double sum = 0.0, squares = 0.0, members = 0.0;
            for (unsigned i = 0; i < count; ++i) {
                if ((group >> i & 1) == 0) continue;
                const double value = parts[i] >> (8 * channel) & 0xFF;
                sum += value;
                squares += value * value;
                members += 1.0;
            }
            if (members > 0.0) error += squares - sum * sum / members;
        }
    }
    return error;
}

// Against every mask in turn. The chosen one may be a little worse than the best, see partition.cpp.
void check_partition(unsigned count) {
    Cell parts[6];
    for (Cell& part : parts)
        part = kOpaque | (static_cast<Cell>(generator()) & (random_in(0, 1) ? 0xFFFFFF : 0x1F1F1F));
    const Partition chosen = count == 4 ? partition4(parts) : partition6(parts);
    double least = plain_error(parts, count, 0);
    const double flat = least;
    for (unsigned mask = 1; mask < 1U << (count - 1); ++mask) least = std::min(least, plain_error(parts, count, mask));
    const double error = plain_error(parts, count, chosen.mask);
    constexpr double slack = 8.0, flat_enough = 60.0;
    expect(error <= least + slack || (chosen.mask == 0 && flat <= least + flat_enough + slack),
           "a partition is not the best");
    expect(chosen.background == plain_average(parts, count, ~chosen.mask), "a partition's background is not the mean");
    expect(chosen.mask == 0 || chosen.foreground == plain_average(parts, count, chosen.mask),
           "a partition's foreground is not a mean");
}

void check_all() {
    check_scaling();
    check_means();
    check_frames();
    for (int round = 0; round < 3000; ++round) check_partition(round % 2 == 0 ? 4 : 6);
    check_all_updates();
    check_frames_of_text();
}

}  // namespace

int main() {
    set_simd(false);
    check_all();
    std::printf("portable code: passed\n");
    if (set_simd(true)) {
        check_all();
        std::printf("AVX2 code: passed\n");
    } else {
        std::printf("AVX2 code: not on this processor\n");
    }
    return 0;
}
