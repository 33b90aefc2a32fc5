import Mux

/// The clock and the random numbers of ``ReconnectLoop``; tests have their own.
struct ReconnectTime: Sendable {
    /// The present.
    var now: @Sendable () -> Instant = { .now }
    /// A random number, 0 to 1.
    var random: @Sendable () -> Double = { .random(in: 0...1) }
}
