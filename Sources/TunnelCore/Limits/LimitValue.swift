import NIOCore

/// The value of a limit, with its unit.
package enum LimitValue: Sendable, Hashable {
    case count(Int)
    case bytes(Int)
    case time(Duration)
    /// One part in so many of another limit.
    case part(Int)

    /// A time of an event loop.
    package static func time(_ amount: TimeAmount) -> LimitValue { .time(Duration(amount)) }
}

extension LimitValue: Comparable {
    /// Orders values of one unit; values of different units have no order.
    package static func < (left: LimitValue, right: LimitValue) -> Bool {
        switch (left, right) {
        case (.count(let left), .count(let right)), (.bytes(let left), .bytes(let right)): left < right
        case (.time(let left), .time(let right)): left < right
        case (.part(let left), .part(let right)): left > right
        case (.count, _), (.bytes, _), (.time, _), (.part, _): false
        }
    }
}
