import HTTP1
import NIOCore

/// An endless answer: one JSON object in each line. For one reader.
struct EtcdStream: Sendable {
    private let connection: EtcdConnection
    private var reader = ResponseReader(to: "POST", maySwitch: false, limits: EtcdLimits.head)
    private var lines = LineSplitter(limit: EtcdLimits.line)
    private var unread = ByteBuffer()
    private var status: Int?

    /// - Parameter connection: the request has been sent.
    init(_ connection: EtcdConnection) {
        self.connection = connection
    }

    /// The endpoint.
    var endpoint: EtcdEndpoint { connection.endpoint }

    /// Ends the answer. A reader gets a failure.
    func close(_ failure: ConnectionFailure = .closed) { connection.close(failure) }

    /// Reads the head.
    ///
    /// - Returns: the whole answer if it is a refusal; nil if lines follow.
    mutating func refusal() async throws(ConnectionFailure) -> EtcdResponse? {
        while status == nil { try await read() }
        guard let status, status != 200 else { return nil }
        while !reader.isFinished {
            guard lines.pending.readableBytes <= EtcdLimits.answer else { throw .tooLong }
            try await read()
        }
        return EtcdResponse(status: status, body: lines.pending)
    }

    /// Reads the next line.
    ///
    /// - Returns: its result, or the error that it has instead.
    mutating func next<Value: Decodable>(
        _ type: Value.Type
    ) async throws(ConnectionFailure) -> Result<Value, ErrorReason> {
        while true {
            if let line = try lines.next() {
                guard let decoded = JSONBytes.decoded(StreamLine<Value>.self, line.readableBytesView) else {
                    throw ConnectionFailure(.malformed, "a line of its answer is not the JSON of a watch")
                }
                if let error = decoded.error { return .failure(error) }
                if let result = decoded.result { return .success(result) }
            } else {
                guard !reader.isFinished else { throw ConnectionFailure(.closed, "the watch has ended") }
                try await read()
            }
        }
    }

    /// Reads the next bytes.
    private mutating func read() async throws(ConnectionFailure) {
        if unread.readableBytes == 0 {
            guard let bytes = try await connection.receive() else {
                guard reader.ended() else { throw .closed }
                return
            }
            unread = bytes
        }
        do throws(HTTP1Error) {
            while let event = try reader.next(from: &unread) {
                switch event {
                case .head(let head, _):
                    status = head.status
                    return
                case .content(let content):
                    lines.append(content)
                    return
                case .informational, .end, .switched:
                    break
                }
            }
        } catch {
            throw ConnectionFailure(error)
        }
        unread = ByteBuffer()
    }
}

/// Cuts bytes into lines.
struct LineSplitter: Sendable {
    /// The bytes that are no line yet.
    private(set) var pending = ByteBuffer()
    /// Bytes of `pending` that have no line end.
    private var searched = 0
    private let limit: Int

    /// - Parameter limit: bytes of the longest line.
    init(limit: Int) {
        self.limit = limit
    }

    /// Adds bytes.
    mutating func append(_ bytes: ByteBuffer) {
        pending.writeImmutableBuffer(bytes)
    }

    /// Takes the next line without its end; empty lines are left out.
    ///
    /// - Returns: nil if there is no whole line.
    mutating func next() throws(ConnectionFailure) -> ByteBuffer? {
        while true {
            let unsearched = pending.readableBytesView.dropFirst(searched)
            guard let end = unsearched.firstIndex(of: UInt8(ascii: "\n")) else {
                searched = pending.readableBytes
                guard searched <= limit else { throw .tooLong }
                if searched == 0 { pending = ByteBuffer() } else { pending.discardReadBytes() }
                return nil
            }
            let length = end - pending.readerIndex
            guard length <= limit, let line = pending.readSlice(length: length) else { throw .tooLong }
            pending.moveReaderIndex(forwardBy: 1)
            searched = 0
            if length > 0 { return line }
        }
    }
}
