import Logging

extension Logger.MetadataValue {
    /// A number, which a log in JSON has as a number.
    package static func number(_ value: some BinaryInteger) -> Logger.MetadataValue {
        .stringConvertible(Int(clamping: value))
    }

    /// A number with its decimals.
    package static func number(_ value: Double) -> Logger.MetadataValue {
        .stringConvertible(value)
    }

    /// A time, which a log of text has as `1.5 s`, and a log in JSON as milliseconds.
    package static func time(_ value: Duration) -> Logger.MetadataValue {
        .stringConvertible(LoggedTime(value))
    }
}

/// A time as a value of the log.
public struct LoggedTime: Sendable, Hashable, CustomStringConvertible {
    /// The time.
    public let duration: Duration

    /// A time for the log.
    public init(_ duration: Duration) {
        self.duration = duration
    }

    /// `1.5 s`
    public var description: String { duration.inShort }
}
