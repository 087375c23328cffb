#include "kernel.h"
#include <cmath>

void kernel(const float *x, const float *weight, const float *dy, float *dx, float *dweight, int64_t rows, int64_t columns,
            double epsilon, int threads) {
    for (int64_t column = 0; column < columns; ++column) dweight[column] = 0;
    for (int64_t row = 0; row < rows; ++row) {
        const float *from = x + row * columns, *back = dy + row * columns;
        double squares = 0, products = 0;
        for (int64_t column = 0; column < columns; ++column) {
            squares += double(from[column]) * from[column];
            products += double(back[column]) * weight[column] * from[column];
        }
        const float scale = float(1 / std::sqrt(squares / columns + epsilon));
        const float shared = float(products / columns) * scale * scale * scale;
        for (int64_t column = 0; column < columns; ++column) {
            dx[row * columns + column] = scale * back[column] * weight[column] - from[column] * shared;
            dweight[column] += back[column] * from[column] * scale;
        }
    }
}
