/// The number of carriers that a client's session has at a time: `auto`, a number such as `3`, or a range such as `2-4`.
public struct CarrierCount: Sendable, Hashable, CustomStringConvertible {
    /// The numbers that a configuration may ask for. 16: more from one client would be
    /// unusual at a proxy; browsers open fewer connections to one server.
    public static let bounds = 1...16
    /// The carriers that automatic lanes give to bulk traffic at most. Further ones seldom add throughput.
    public static let automaticBulk = 4
    /// One carrier to start with, up to four for bulk traffic, and one for interactive traffic.
    public static let automatic = CarrierCount(1, automaticBulk + 1, isAutomatic: true)
    /// One carrier always.
    static let one = CarrierCount(1, 1, isAutomatic: false)
    /// The written forms, for an error.
    static let forms = "auto, a number from \(bounds.lowerBound) to \(bounds.upperBound), or a range such as 2-4"

    /// The carriers that a session has at least, as far as the server and the proxies permit.
    public let minimum: Int
    /// The carriers that a session has at most.
    public let maximum: Int
    /// Whether the numbers are those of `auto`.
    public let isAutomatic: Bool

    /// Why a text is not a valid number of carriers.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// A one-line message for the user.
        public let description: String
    }

    /// Reads `auto`, `N` or `MIN-MAX`.
    public init(_ text: String) throws(Malformed) {
        guard text != "auto" else {
            self = .automatic
            return
        }
        let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map(Self.number)
        guard (1...2).contains(numbers.count), let first = numbers.first, let minimum = first,
            let last = numbers.last, let maximum = last, minimum <= maximum
        else { throw Malformed(description: "expected \(Self.forms)") }
        self.init(minimum, maximum, isAutomatic: false)
    }

    private init(_ minimum: Int, _ maximum: Int, isAutomatic: Bool) {
        self.minimum = minimum
        self.maximum = maximum
        self.isAutomatic = isAutomatic
    }

    /// A number within the bounds, in digits alone.
    private static func number(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text).flatMap { bounds.contains($0) ? $0 : nil }
    }

    /// The written form: `auto`, `3` or `2-4`.
    public var description: String {
        isAutomatic ? "auto" : minimum == maximum ? "\(minimum)" : "\(minimum)-\(maximum)"
    }
}
