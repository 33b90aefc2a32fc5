import HTTP1
import Logging
import Mux
import NIOCore
import TunnelCore

/// One request, for the access log.
struct RequestRecord {
    private let visitor: String
    private let head: RequestHead?
    private let began = NIODeadline.now()
    /// The address of the visitor, if a front has named it.
    var named: String?
    /// The name that it was for, complete and published; nil if there is no such name.
    var name: String?
    /// The status of the answer; 0 if there was none.
    var status = 0
    /// Bytes of the answer's content.
    var bytes = 0
    /// Why the relay has answered by itself; nil for an answer of the service.
    var reason: String?

    /// - Parameter head: nil if it could not be read.
    init(_ head: RequestHead?, _ origin: VisitorOrigin) {
        (self.head, visitor) = (head, origin.description)
    }

    /// Time since the head came.
    var duration: TimeAmount { NIODeadline.now() - began }

    /// The fields, the common ones first.
    var metadata: Logger.Metadata {
        var fields = Logger.Metadata(minimumCapacity: 12)
        fields["visitor"] = .string(named ?? visitor)
        fields["host"] = .string(name ?? head?.fields.first("Host") ?? "")
        fields["method"] = .string(head?.method ?? "")
        fields["target"] = .string(head?.target ?? "")
        fields["status"] = .number(status)
        fields["bytes"] = .number(bytes)
        fields["duration_ms"] = .number(duration.nanoseconds / 1_000_000)
        fields["protocol"] = .string(head.map { "\($0.version)" } ?? "")
        if let agent = head?.fields.first("User-Agent") { fields["agent"] = .string(agent) }
        if let referer = head?.fields.first("Referer") { fields["referer"] = .string(referer) }
        if let reason { fields["reason"] = .string(reason) }
        return fields
    }
}
