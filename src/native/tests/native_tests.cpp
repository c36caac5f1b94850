// Runs the core on random and extreme sizes, in heap buffers of exactly the size it may touch, against plain loops.
// Meant to be built with -fsanitize=address,undefined, which turn every access outside them into an error.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "area.hpp"
#include "canvas.hpp"
#include "emit.hpp"
#include "simd.hpp"
#include "style.hpp"

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

// What pictures are filled with: extremes make sums as large as they can be.
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
            expect(target[y * stride + x] == plain_mean(source, covered(x, source_width, width),
                                                        covered(y, source_height, height)),
                   sizes);
}

void check_scaling() {
    const std::uint32_t extreme[][4] = {
        {1, 1, 1, 1},       {1, 1, 64, 64},    {1, 300, 7, 5},      {300, 1, 5, 7},     {8192, 1, 4096, 1},
        {1, 8192, 1, 4096}, {8192, 3, 1, 1},   {3, 8192, 1, 1},     {2, 514, 1, 2},     {2, 516, 1, 2},
        {8192, 300, 2, 1},  {640, 360, 160, 96}, {641, 359, 159, 47}, {10, 10, 11, 11}, {11, 257, 10, 1},
        {89, 89, 1, 1},     {90, 90, 1, 1},    {31, 257, 1, 1},     {32, 257, 1, 1},    {33, 9, 32, 3},
        {3, 128, 2, 1},     {3, 130, 2, 1},     {5, 85, 2, 1},     {4, 2056, 2, 8},
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
            for (const RenderMode render : {RenderMode::foreground, RenderMode::background, RenderMode::half_block})
                if (color != ColorLevel::none || render != RenderMode::background)
                    styles.emplace_back(color, render, palette);
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
    Canvas canvas(columns, rows, style.subrows());
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
        check_frame(style, 1, 1);
        check_frame(style, 4096, 1);
        check_frame(style, 1, 4096);
        for (int round = 0; round < 20; ++round) check_frame(style, random_in(1, 70), random_in(1, 30));
    }
}

void check_all() {
    check_scaling();
    check_means();
    check_frames();
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
