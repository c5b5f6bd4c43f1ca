// Package autoscaling describes HorizontalPodAutoscalers. They are stored as
// autoscaling/v2 has them; autoscaling/v1 shows the same objects.
package autoscaling
