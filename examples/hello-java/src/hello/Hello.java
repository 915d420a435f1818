package hello;

import java.util.LinkedHashMap;
import java.util.Map;

/** Greets. `calls` lives as long as the environment: it counts warm calls. */
public class Hello {
    private static int calls;

    public Map<String, Object> greet(Map<String, String> event) {
        calls += 1;
        String name = event.getOrDefault("name", "world");
        System.out.println("greeting " + name + ", call " + calls);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("message", System.getenv().getOrDefault("GREETING", "Hello") + ", " + name + ", from Java");
        answer.put("calls", calls);
        return answer;
    }
}
