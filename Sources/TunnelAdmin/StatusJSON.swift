#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The JSON format of `GET /status`: keys in snake case and sorted, times such as `2026-01-31T12:00:00Z`.
public enum StatusJSON {
    /// Encodes a status on several lines.
    public static func encode(_ status: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(status)
    }

    /// A status without its line breaks and indents. The text itself has none: JSON writes them as `\n`.
    public static func line(_ status: Data) -> String {
        String(decoding: status, as: UTF8.self).split(separator: "\n").map { $0.drop { $0 == " " } }.joined()
    }

    /// Decodes a status.
    public static func decode<Status: Decodable>(_ type: Status.Type, from data: Data) throws -> Status {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: data)
    }
}

/// The answer to `POST /renew`.
public struct RenewResult: Codable, Sendable, Hashable {
    /// The number of sessions that were asked for another carrier.
    public var asked: Int
    /// The outcome in words.
    public var report: String?

    package init(asked: Int, report: String? = nil) {
        self.asked = asked
        self.report = report
    }
}

/// The answer to `POST /kick`.
public struct KickResult: Codable, Sendable, Hashable {
    /// The number of sessions that were ended.
    public var kicked: Int
}

extension Duration {
    /// The duration in milliseconds, rounded to a microsecond.
    package var milliseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) * 1e3 + (Double(attoseconds) / 1e12).rounded() / 1e3
    }
}
