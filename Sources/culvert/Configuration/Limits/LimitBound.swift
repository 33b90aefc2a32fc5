import Tunnel

/// How a configuration holds one limit: the property, and how far a configuration file may move it.
struct LimitBound<Root>: Sendable {
    /// The range never begins at 0, so that no number means "without".
    let range: ClosedRange<LimitValue>
    let read: @Sendable (Root) -> LimitValue
    /// Writes a value of the range's unit.
    let write: @Sendable (inout Root, LimitValue) -> Void

    /// A number.
    static func count(_ path: WritableKeyPath<Root, Int> & Sendable, _ range: ClosedRange<Int>) -> Self {
        Self(range: .count(range.lowerBound) ... .count(range.upperBound)) {
            .count($0[keyPath: path])
        } write: { root, value in
            if case .count(let number) = value { root[keyPath: path] = number }
        }
    }

    /// A number of bytes.
    static func bytes(_ path: WritableKeyPath<Root, Int> & Sendable, _ range: ClosedRange<Int>) -> Self {
        Self(range: .bytes(range.lowerBound) ... .bytes(range.upperBound)) {
            .bytes($0[keyPath: path])
        } write: { root, value in
            if case .bytes(let number) = value { root[keyPath: path] = number }
        }
    }

    /// A time.
    static func time(_ path: WritableKeyPath<Root, Duration> & Sendable, _ range: ClosedRange<Duration>) -> Self {
        Self(range: .time(range.lowerBound) ... .time(range.upperBound)) {
            .time($0[keyPath: path])
        } write: { root, value in
            if case .time(let duration) = value { root[keyPath: path] = duration }
        }
    }

    private init(
        range: ClosedRange<LimitValue>,
        read: @escaping @Sendable (Root) -> LimitValue,
        write: @escaping @Sendable (inout Root, LimitValue) -> Void
    ) {
        self.range = range
        self.read = read
        self.write = write
    }

    /// The same limit of a whole of which `Root` is a part.
    func part<Whole>(of path: WritableKeyPath<Whole, Root> & Sendable) -> LimitBound<Whole> {
        LimitBound<Whole>(range: range) { [read] in
            read($0[keyPath: path])
        } write: { [write] whole, value in
            write(&whole[keyPath: path], value)
        }
    }
}
