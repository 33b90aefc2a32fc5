import HTTP1
import HTTPRelay
import NIOCore
import TestSupport
import Testing

/// Seeded mutations of visitors' bytes. Each request for the service reads back as itself, and as one request only.
@Suite("Mutated requests for a service")
struct FuzzTests {
    /// The limits of the service's reader: those of the relay's, with the fields that the relay adds.
    static let limits = HeadLimits(
        maximumBytes: HeadLimits.request.maximumBytes + 2_048,
        maximumFields: HeadLimits.request.maximumFields + 8,
        maximumLineBytes: HeadLimits.request.maximumLineBytes
    )

    /// Reads bytes as a service does. Returns nil unless they are one request, complete or not.
    static func readAgain(_ bytes: [UInt8]) -> (head: RequestHead, framing: BodyFraming, isComplete: Bool)? {
        var (reader, buffer) = (RequestReader(limits: limits), ByteBuffer(bytes: bytes))
        var (found, isComplete) = ((RequestHead, BodyFraming)?.none, false)
        do throws(HTTP1Error) {
            while let event = try reader.next(from: &buffer) {
                switch event {
                case .head(let head, let framing):
                    guard found == nil else { return nil }
                    found = (head, framing)
                case .content: break
                case .end: isComplete = true
                }
            }
        } catch {
            return nil
        }
        guard let found, buffer.readableBytes == 0 else { return nil }
        return (found.0, found.1, isComplete)
    }

    @Test("Whatever a visitor sends, the service reads each request as one, with the same end, and never one more")
    func reverse() throws {
        let seeds = SmugglingTests.rows.map(\.input) + (try Fuzzing.corpus("http1/accept")).map(\.bytes)
        var rules = RelayRules()
        rules.setHeaders = [try RelayRules.Field("X-Set", "1"), try RelayRules.Field("X-Forwarded-Proto", "https")]
        var random = Fuzzing.generator(0x25)
        let end = ContinuousClock.now + Fuzzing.time
        var (rounds, requests) = (0, 0)
        while ContinuousClock.now < end {
            rounds += 1
            var bytes = Fuzzing.mutate(seeds[rounds % seeds.count], &random)
            if rounds.isMultiple(of: 3), let other = seeds.randomElement(using: &random) { bytes += other }
            let whole = relay([bytes], rules: rules)
            for (index, request) in whole.requests.enumerated() {
                requests += 1
                let isCut = whole.isOpen && index == whole.requests.count - 1
                guard let read = Self.readAgain(request), isCut || read.isComplete else {
                    Issue.record("round \(rounds): \(bytes) gives \(whole)")
                    return
                }
                #expect(read.head.fields.values(of: "Host").count == 1)
                #expect(read.head.fields.values(of: "X-Forwarded-For") == ["192.0.2.1"], "round \(rounds): \(bytes)")
                #expect(read.head.fields.values(of: "X-Forwarded-Proto") == ["https"], "round \(rounds): \(bytes)")
                #expect(read.head.fields.values(of: "X-Set") == ["1"], "round \(rounds): \(bytes)")
                #expect(read.head.fields.values(of: "Forwarded").count == 1)
            }
            guard rounds.isMultiple(of: 8) else { continue }
            #expect(relay(Fuzzing.cut(bytes, &random), rules: rules) == whole, "round \(rounds): \(bytes)")
        }
        #expect(requests > 10)
    }
}
